r"""Sound made from formulas, its 8-bit code, and WAV files.

A waveform is an array (T,) of amplitudes in [−1, 1], ``rate`` of them a second.

**Chords.** A sum of notes f with harmonics h f, softer and sooner gone the higher they are:

    x(t) ∝ Σ_f Σ_h (1/h) e^(−h t/τ) sin(2π h f t + φ_fh),    h f < rate/2, phases φ random.                      (1)

**Plucked strings.** A string of p samples is displaced at random, and goes round with every sample averaged with its
neighbour (K. Karplus and A. Strong, Digital synthesis of plucked-string and drum timbres, Computer Music Journal 7,
1983):

    y[t] = ½ (y[t − p] + y[t − p − 1]).                                                                          (2)

The average delays by half a sample, so that the pitch is rate/(p + ½), and multiplies the amplitude of frequency f by
cos(π f/rate) each time round: high harmonics die first, as on a guitar.

**μ-law.** With 8 bits, equal steps in amplitude would drown what is soft. The G.711 curve

    F(x) = sign(x) log(1 + μ|x|) / log(1 + μ),    μ = 255,                                                       (3)

makes the steps finer near zero; F is cut into 256 equal parts, and the code is the part's number. WaveNet predicts
these codes (A. van den Oord et al., 2016, arXiv:1609.03499, section 2.2).
"""
import os
import wave
from pathlib import Path

import numpy as np

from minigen.data.dataset import Dataset
from minigen.data.idx import DataError

__all__ = ["CHORDS", "chord", "chords", "mu_law_decode", "mu_law_encode", "note", "pluck", "plucked_strings",
           "read_wav", "spectrogram", "write_wav"]

CHORDS = {"major": (0, 4, 7), "minor": (0, 3, 7), "diminished": (0, 3, 6), "augmented": (0, 4, 8)}   # semitones
PENTATONIC = (0, 3, 5, 7, 10, 12, 15, 17)                                                            # semitones from A


# ---- synthesis -------------------------------------------------------------------------------------------------------
def note(semitones):
    """The frequency, in Hz, so many semitones above the A of 220 Hz: 220 · 2^(semitones/12)."""
    return 220.0 * 2.0 ** (np.asarray(semitones) / 12)


def chord(frequencies, seconds=1.0, rate=8000, harmonics=6, decay=0.5, rng=0):
    """Notes struck together, (T,) float32, its loudest sample at 0.9. Eq. (1).

    Args:
        frequencies: in Hz, (K,). harmonics: how many of each, as far as the rate can carry them.
        decay: τ in seconds. rng: NumPy Generator or seed of the phases.

    Raises ValueError for a frequency that is not between 0 and rate/2, or a duration or decay that is not positive.
    """
    frequencies, T = _audible("chord", frequencies, seconds, rate)
    if not decay > 0:
        raise ValueError(f"chord: the decay is a time in seconds > 0, got {decay}")
    f, h = (a.ravel() for a in np.meshgrid(frequencies, np.arange(1, harmonics + 1)))
    phase = np.random.default_rng(rng).uniform(0, 2 * np.pi, len(f))
    f, h, phase = (a[h * f < rate / 2] for a in (f, h, phase))
    t = np.arange(T)[:, None] / rate                                                                     # (T, 1)
    x = (np.exp(-h * t / decay) * np.sin(2 * np.pi * h * f * t + phase) / h).sum(axis=1)                  # Eq. (1)
    return (0.9 * x / np.abs(x).max()).astype(np.float32)


def pluck(frequency, seconds=1.0, rate=8000, rng=0):
    """A plucked string, (T,) float32, at most 0.9. Eq. (2).

    Args:
        frequency: in Hz; what sounds is the nearest of the pitches rate/(p + ½). rng: NumPy Generator or seed of the
            displacement.

    Raises ValueError for a frequency that is not between 0 and rate/2, or a duration that is not positive.
    """
    (frequency,), T = _audible("pluck", [frequency], seconds, rate)
    p = max(round(rate / frequency - 0.5), 1)
    y = np.zeros(p + 1 + T + p)                                # y[0] is the sample before the string's first round
    string = np.random.default_rng(rng).uniform(-1, 1, p)
    string -= string.mean()                                    # a constant would never die: cos 0 = 1
    y[1:p + 1] = 0.9 * string / max(np.abs(string).max(), 1e-12)
    for start in range(p + 1, p + 1 + T, p):                   # a round at once: it reads only the one before
        y[start:start + p] = 0.5 * (y[start - p:start] + y[start - p - 1:start - 1])                      # Eq. (2)
    return y[1:T + 1].astype(np.float32)


def plucked_strings(n, seconds=1.0, rate=8000, semitones=PENTATONIC, rng=0):
    """A Dataset of n plucked strings: ``x`` float32 (n, T), ``y`` int64 (n,), which of the ``semitones`` above A."""
    rng = np.random.default_rng(rng)
    y = rng.integers(len(semitones), size=n)
    return Dataset({"x": np.stack([pluck(note(semitones[k]), seconds, rate, rng) for k in y]), "y": y})


def chords(n, seconds=1.0, rate=8000, kinds=tuple(CHORDS), rng=0):
    """A Dataset of n chords on roots from A to A♭: ``x`` float32 (n, T), ``y`` int64 (n,), which of the ``kinds``."""
    rng = np.random.default_rng(rng)
    y, roots = rng.integers(len(kinds), size=n), rng.integers(12, size=n)
    x = [chord(note(root + np.array(CHORDS[kinds[k]])), seconds, rate, rng=rng) for k, root in zip(y, roots)]
    return Dataset({"x": np.stack(x), "y": y})


def _audible(name, frequencies, seconds, rate):
    """(frequencies as an array, T), or ValueError."""
    frequencies, T = np.asarray(frequencies, dtype=np.float64), round(seconds * rate)
    if frequencies.ndim != 1 or not np.all((frequencies > 0) & (frequencies < rate / 2)):
        raise ValueError(f"{name}: at {rate} samples a second frequencies lie between 0 and {rate / 2:g} Hz, got "
                         f"{frequencies}; raise the rate")
    if T < 1:
        raise ValueError(f"{name}: {seconds} s at {rate} samples a second are no sample; make it longer")
    return frequencies, T


# ---- the 8-bit code --------------------------------------------------------------------------------------------------
def mu_law_encode(x, mu=255):
    """Codes 0 … μ, int64, of amplitudes in [−1, 1]. Eq. (3). Raises ValueError for amplitudes outside, or NaN."""
    x = np.asarray(x, dtype=np.float64)
    if not np.all(np.abs(x) <= 1):
        raise ValueError(f"mu_law_encode: amplitudes lie in [−1, 1], got some up to {np.abs(x).max()}; divide by the "
                         "largest")
    F = np.sign(x) * np.log1p(mu * np.abs(x)) / np.log1p(mu)
    return np.floor((F + 1) / 2 * mu + 0.5).astype(np.int64)


def mu_law_decode(codes, mu=255):
    """The amplitudes, float32, of codes 0 … μ: the inverse of Eq. (3). Raises ValueError for other codes."""
    codes = np.asarray(codes)
    if codes.dtype.kind not in "iu" or codes.size and not 0 <= codes.min() <= codes.max() <= mu:
        raise ValueError(f"mu_law_decode: codes are integers from 0 to {mu}, got {codes.dtype} from "
                         f"{codes.min(initial=0)} to {codes.max(initial=0)}")
    F = 2 * codes / mu - 1
    return (np.sign(F) * np.expm1(np.abs(F) * np.log1p(mu)) / mu).astype(np.float32)


# ---- pictures and files ----------------------------------------------------------------------------------------------
def spectrogram(x, rate, window=256, hop=64):
    """(times (M,) in s, frequencies (W/2 + 1,) in Hz, level (M, W/2 + 1) in dB): loudness over time and pitch.

    The level is 20 log₁₀ of the amplitude of a sinusoid there, cut off at −80. Raises ValueError for a waveform that is
    shorter than the window.
    """
    x = np.asarray(x, dtype=np.float64)
    if x.ndim != 1 or len(x) < window:
        raise ValueError(f"spectrogram: wants a waveform (T,) of at least {window} samples, got shape {x.shape}")
    hann = np.hanning(window + 1)[:-1]                                       # a whole period, as its transform expects
    starts = np.arange(0, len(x) - window + 1, hop)
    spectrum = np.abs(np.fft.rfft(x[starts[:, None] + np.arange(window)] * hann)) / (hann.sum() / 2)
    return (starts + window / 2) / rate, np.fft.rfftfreq(window, 1 / rate), 20 * np.log10(np.maximum(spectrum, 1e-4))


def write_wav(path, x, rate):
    """Write a waveform (T,) in [−1, 1] as WAV: mono, 16 bits a sample. Raises ValueError for anything else."""
    x = np.asarray(x)
    if x.ndim != 1 or not np.all(np.abs(x) <= 1):
        raise ValueError("write_wav: wants a mono waveform (T,) of amplitudes in [−1, 1], got shape "
                         f"{x.shape}, up to {np.abs(x).max(initial=0)}")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(int(rate))
        file.writeframes(np.round(x.astype(np.float64) * 32767).astype("<i2").tobytes())


def read_wav(path):
    """(waveform (T,) float32 in [−1, 1], rate) of a mono WAV file with 16 bits a sample, and of no other.

    Raises DataError, with the reason, for a file that is missing, is no WAV, is truncated, or has another format.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: " + ("is not a regular file" if path.exists() else "no such file"))
    try:
        with path.open("rb") as raw, wave.open(raw, "rb") as file:
            if file.getnchannels() != 1 or file.getsampwidth() != 2:
                raise DataError(f"{path}: has {file.getnchannels()} channel(s) of {8 * file.getsampwidth()} bits; "
                                "convert it to mono with 16 bits a sample")
            promised, held = 2 * file.getnframes(), os.fstat(raw.fileno()).st_size
            samples = file.readframes(file.getnframes()) if promised <= held else b""
            rate = file.getframerate()
    except (wave.Error, EOFError) as error:
        reason = str(error) or "it ends too early"
        raise DataError(f"{path}: is not a WAV file of uncompressed samples ({reason})") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    if len(samples) != promised:
        raise DataError(f"{path}: truncated, its header promises {promised} bytes of samples, but fewer follow")
    return np.maximum(np.frombuffer(samples, "<i2") / np.float32(32767), -1).astype(np.float32), rate
