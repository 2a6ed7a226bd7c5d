"""Sound: against naive loops, its spectrum, and files that lie."""
import struct
import wave

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigen.data import DataError, audio

RATE = 4000


# ---- synthesis -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("frequency", [97.0, 220.0, 441.0, 1990.0])
def test_a_string_is_the_recurrence(frequency):
    """Eq. (2) word for word, one sample after the other."""
    x = audio.pluck(frequency, 0.1, RATE, rng=1).astype(np.float64)
    p = max(round(RATE / frequency - 0.5), 1)
    y = list(x[:p])
    for t in range(p, len(x)):
        y.append(0.5 * (y[t - p] + (y[t - p - 1] if t > p else 0.0)))
    np.testing.assert_allclose(x, y, atol=1e-6)
    assert len(x) == 400 and np.abs(x).max() <= 0.9 + 1e-6 and abs(x[:p].sum()) < 1e-5


def peak(x, rate=RATE):
    """The loudest frequency, in Hz."""
    return np.fft.rfftfreq(8 * len(x), 1 / rate)[np.argmax(np.abs(np.fft.rfft(x * np.hanning(len(x)), 8 * len(x))))]


def test_a_string_sounds_at_its_pitch_and_its_harmonics_die_as_told():
    """Once round takes p + ½ samples and multiplies a harmonic of frequency f by cos(π f/rate)."""
    x = audio.pluck(220.0, 2.0, RATE, rng=0)
    f = RATE / 18.5
    assert abs(peak(x[4000:]) - f) < 1.0
    t = np.arange(len(x))

    def amplitude(h, start, count=370):                                # 20 rounds of 18.5 samples
        part = slice(start, start + count)
        return np.abs(np.sum(x[part] * np.hanning(count) * np.exp(-2j * np.pi * h * f / RATE * t[part])))

    for h in (1, 2, 3):
        fell = np.log(amplitude(h, 740) / amplitude(h, 370)) / 20
        assert abs(fell / np.log(np.cos(np.pi * h * f / RATE)) - 1) < 0.05


def test_a_chord_has_the_lines_it_should():
    """One note: energy at its harmonics below rate/2, a thousandth elsewhere; amplitudes fall as e^(−ht/τ)."""
    x = audio.chord([500.0], 2.0, RATE, harmonics=6, decay=100.0, rng=3)
    spectrum = np.abs(np.fft.rfft(x * np.hanning(len(x))))
    f = np.fft.rfftfreq(len(x), 1 / RATE)
    lines = [spectrum[np.abs(f - 500 * h) < 3].max() for h in (1, 2, 3)]
    np.testing.assert_allclose(lines[0] / np.array(lines), [1, 2, 3], rtol=0.05)
    assert spectrum[np.min(np.abs(f[:, None] - [500, 1000, 1500]), axis=1) > 20].max() < 1e-3 * lines[0]
    assert abs(np.abs(x).max() - 0.9) < 1e-6
    x = audio.chord([250.0], 1.0, RATE, harmonics=1, decay=0.2, rng=3)
    assert abs(np.abs(x[2000:2016]).max() / np.abs(x[1200:1216]).max() - np.exp(-0.2 / 0.2)) < 0.02


def test_notes_and_sets():
    np.testing.assert_allclose(audio.note([0, 12, 3]), [220, 440, 261.6256], rtol=1e-6)
    for make, classes in ((audio.plucked_strings, 8), (audio.chords, 4)):
        data, again, other = make(40, 0.1, RATE, rng=1), make(40, 0.1, RATE, rng=1), make(40, 0.1, RATE, rng=2)
        assert data["x"].shape == (40, 400) and data["x"].dtype == np.float32 and set(data["y"]) == set(range(classes))
        np.testing.assert_array_equal(data["x"], again["x"])
        assert not np.array_equal(data["x"], other["x"])
    long = audio.plucked_strings(4, 1.0, RATE, rng=0)
    for x, y in zip(long["x"], long["y"]):
        nearest = RATE / (round(RATE / audio.note(audio.PENTATONIC[y]) - 0.5) + 0.5)
        assert abs(peak(x[2000:]) - nearest) < 2.0


# ---- μ-law -----------------------------------------------------------------------------------------------------------
def test_codes_come_back_and_amplitudes_nearly():
    codes = np.arange(256)
    np.testing.assert_array_equal(audio.mu_law_encode(audio.mu_law_decode(codes)), codes)
    assert audio.mu_law_encode([-1.0, 0.0, 1.0]).tolist() == [0, 128, 255]
    x = np.linspace(-1, 1, 10_001)
    error = np.abs(audio.mu_law_decode(audio.mu_law_encode(x)) - x)
    half_step = np.log1p(255) / 255 * (1 / 255 + np.abs(x))                    # half a step of F times dx/dF, to first
    assert np.all(error <= 1.05 * half_step)                                   # order in the step
    assert error[np.abs(x) < 0.01].max() < 4e-4 < 1 / 256          # linear 8 bits are coarser


@given(st.floats(-1, 1))
def test_the_code_is_odd_and_monotone(x):
    F = audio.mu_law_encode([x, -x, min(x + 0.02, 1.0)])
    assert abs(F[0] + F[1] - 255) <= 1 and F[2] >= F[0]


# ---- spectrogram -----------------------------------------------------------------------------------------------------
def test_a_sinusoid_of_amplitude_one_stands_at_0_dB():
    t = np.arange(4096) / RATE
    times, frequencies, level = audio.spectrogram(np.sin(2 * np.pi * 500 * t), RATE)
    assert level.shape == (len(times), 129) and frequencies[np.argmax(level[5])] == 500.0
    assert abs(level[:, 32].max()) < 0.1 and abs(times[1] - times[0] - 64 / RATE) < 1e-12
    assert level[:, 60].max() <= -79.9


# ---- files -----------------------------------------------------------------------------------------------------------
def test_a_file_comes_back(tmp_path):
    x = np.random.default_rng(0).uniform(-1, 1, 501).astype(np.float32)
    x[:2] = [-1, 1]
    audio.write_wav(tmp_path / "a.wav", x, RATE)
    back, rate = audio.read_wav(tmp_path / "a.wav")
    assert rate == RATE and back.dtype == np.float32
    np.testing.assert_allclose(back, x, atol=0.51 / 32767)
    with wave.open(str(tmp_path / "a.wav")) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getnframes()) == (1, 2, 501)
    audio.write_wav(tmp_path / "none.wav", np.zeros(0), RATE)
    assert len(audio.read_wav(tmp_path / "none.wav")[0]) == 0


def wav(channels=1, bits=16, code=1, promised=None, content=bytes(40)):
    """The bytes of a WAV file that may lie about its length."""
    promised = len(content) if promised is None else promised
    block = channels * bits // 8
    form = struct.pack("<HHIIHH", code, channels, RATE, RATE * block, block, bits)
    return (b"RIFF" + struct.pack("<I", 36 + promised) + b"WAVEfmt " + struct.pack("<I", 16) + form
            + b"data" + struct.pack("<I", promised) + content)


BAD = {
    "empty": (b"", "is not a WAV file"),
    "another format": (b"\x89PNG\r\n\x1a\n" + bytes(40), "is not a WAV file"),
    "header cut": (wav()[:30], "is not a WAV file"),
    "stereo": (wav(channels=2), "has 2 channel\\(s\\) of 16 bits; convert it to mono"),
    "8 bits": (wav(bits=8), "has 1 channel\\(s\\) of 8 bits"),
    "24 bits": (wav(bits=24, content=bytes(42)), "has 1 channel\\(s\\) of 24 bits"),
    "floats": (wav(bits=32, code=3), "is not a WAV file of uncompressed samples"),
    "truncated": (wav(promised=60), "truncated, its header promises 60 bytes"),
    "hostile length": (wav(promised=2 ** 31), "truncated, its header promises 2147483648 bytes"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_told(name, tmp_path):
    content, words = BAD[name]
    (tmp_path / "a.wav").write_bytes(content)
    with pytest.raises(DataError, match=words):
        audio.read_wav(tmp_path / "a.wav")


def test_no_file_is_told(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        audio.read_wav(tmp_path / "a.wav")
    with pytest.raises(DataError, match="not a regular file"):
        audio.read_wav(tmp_path)


@pytest.mark.parametrize("call, words", [
    (lambda: audio.mu_law_encode([0.5, -1.5]), r"amplitudes lie in \[−1, 1\], got some up to 1.5"),
    (lambda: audio.mu_law_encode([np.nan]), "got some up to nan"),
    (lambda: audio.mu_law_decode([256]), "codes are integers from 0 to 255, got int64 from 0 to 256"),
    (lambda: audio.mu_law_decode([0.5]), "codes are integers from 0 to 255, got float64"),
    (lambda: audio.pluck(3000.0, rate=RATE), r"between 0 and 2000 Hz, got \[3000.\]; raise the rate"),
    (lambda: audio.pluck(100.0, seconds=0.0), "are no sample"),
    (lambda: audio.chord([100.0], decay=0.0), "decay is a time in seconds > 0, got 0.0"),
    (lambda: audio.spectrogram(np.zeros(100), RATE), r"at least 256 samples, got shape \(100,\)"),
    (lambda: audio.write_wav("never.wav", np.full(3, 1.01), RATE), "got shape \\(3,\\), up to 1.01"),
    (lambda: audio.write_wav("never.wav", np.zeros((3, 2)), RATE), r"mono waveform \(T,\)"),
])
def test_bad_input_is_told(call, words):
    with pytest.raises(ValueError, match=words):
        call()
