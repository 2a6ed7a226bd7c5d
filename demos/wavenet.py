"""A WaveNet learns plucked strings, one sample after the other, and continues one it has never heard.

Trains a small conditional WaveNet on synthetic strings (4,000 samples a second, 256 symbols by μ-law, the note as
class). Draws waveforms with their continuations, their spectrograms, and the work that the cache saves, with the
samples compared one by one; writes the continued strings and a melody as WAV files. Then a Parallel WaveNet is
distilled from a process that is known exactly, a damped string driven by noise, and makes it in one pass. The
derivation is in docs/autoregressive.md.
"""
import numpy as np
from matplotlib.figure import Figure

import minigen as mg
from minigen.data import Dataset, Loader, audio
from minigen.demo import Demo
from minigen.distributions import Logistic
from minigen.models.autoregressive import ParallelWaveNet, WaveNet
from minigen.training import Adam, Trainer, schedules
from minigen.viz.figure import FAINT, INK, PALETTE, finish

RATE = 4000                                                              # samples a second
NOTES = (-12, -9, -7, -5, -2, 0, 3, 5)                                   # semitones from the A of 220 Hz: pentatonic
TEMPERATURE = 0.8                                                        # below 1: less hiss
MELODY = (0, 2, 3, 4, 6, 4, 3, 5, 2, 0)                                  # of NOTES


def main():
    """Train, continue, count, write, distil."""
    with Demo("wavenet", __doc__) as demo:
        model = train(demo)
        continue_strings(model, demo)
        play(model, demo)
        count_work(model, demo)
        distil(demo)


def strings(n, seconds, seed):
    """A Dataset of n plucked strings as codes: "x" (n, T), "y" (n,) which of the NOTES."""
    data = audio.plucked_strings(n, seconds, RATE, NOTES, rng=seed)
    return Dataset({"x": audio.mu_law_encode(data["x"]), "y": data["y"]})


def train(demo):
    """The model after training, its likelihood measured on strings that were plucked anew."""
    seconds, steps = (0.05, 6) if demo.smoke else (0.25, 1100)
    model = WaveNet(channels=24, skips=48, layers=7, classes=len(NOTES), rng=demo.seed)
    loader = Loader(strings(400, seconds, demo.seed), 8, shuffle=True, seed=demo.seed, drop_last=True)
    optimizer = Adam(model.parameters(), lr=schedules.cosine(1e-2, steps))
    trainer = Trainer(model, optimizer, loader, seed=demo.seed, log_every=max(steps // 40, 1))
    trainer.run(steps)
    model.eval()
    test = strings(40, seconds, demo.seed + 1)
    with mg.no_grad():
        logits = model.logits(mg.tensor(test["x"]), mg.tensor(test["y"]))
        bits = mg.cross_entropy(logits, mg.tensor(test["x"])).numpy() / np.log(2)                        # (40, T)
    demo.metric("test_bits", bits.mean(), "bits per sample")
    demo.metric("test_bits_settled", bits[:, len(bits[0]) // 2:].mean(), "bits per sample, second half")
    log = [(line["step"], line["bits_per_sample"]) for line in trainer.history]
    mg.viz.curves({"training": tuple(zip(*log))}, demo.path("training.png"), ylabel="bits per sample",
                  levels={"uniform codes": 8, "test": bits.mean()}, title="Bits a sample costs, of 8")
    draw_surprise(bits, demo.path("surprise.png"))
    return model


def continue_strings(model, demo):
    """Strings never heard are begun with 60 ms, and continued by the model."""
    seconds, begin = (0.15, 0.06) if demo.smoke else (0.8, 0.06)
    given, T = round(begin * RATE), round(seconds * RATE)
    notes = np.array([0, 3, 6])
    truth = np.stack([audio.pluck(audio.note(NOTES[k]), seconds, RATE, rng=100 + k) for k in notes])
    prefix = audio.mu_law_encode(truth)[:, :given]
    codes = model.sample(len(notes), rng=mg.random.default_rng(demo.seed), labels=notes, length=T, prefix=prefix,
                         temperature=TEMPERATURE)
    drawn = audio.mu_law_decode(codes.numpy())
    for k, string, continued in zip(notes, truth, drawn):
        demo.metric(f"pitch_off_note_{k}", 1200 * np.log2(pitch(continued[given:]) / pitch(string[given:])), "cents")
    audio.write_wav(demo.path("continued.wav"), np.concatenate(list(drawn)), RATE)
    draw_waveforms(truth, drawn, given, notes, demo.path("continued.png"))
    draw_spectrograms(truth, drawn, begin, notes, demo.path("spectrograms.png"))


def pitch(x):
    """The fundamental of a waveform in Hz: the strongest of the lags at which it resembles itself, made finer by a
    parabola through its neighbours."""
    x = x - x.mean()
    likeness = np.correlate(x, x, "full")[len(x) - 1:]
    lags = np.arange(RATE // 350, RATE // 95)
    k = lags[np.argmax(likeness[lags])]
    a, b, c = likeness[k - 1:k + 2]
    return RATE / (k + 0.5 * (a - c) / (a - 2 * b + c))


def play(model, demo):
    """A melody: all its notes from nothing but their class, drawn beside each other, played one after the other."""
    T = round((0.05 if demo.smoke else 0.4) * RATE)
    labels = np.array(MELODY)
    codes = model.sample(len(labels), rng=mg.random.default_rng(demo.seed + 1), labels=labels, length=T,
                         temperature=TEMPERATURE)
    audio.write_wav(demo.path("melody.wav"), np.concatenate(list(audio.mu_law_decode(codes.numpy()))), RATE)


def count_work(model, demo):
    """Multiplications with the cache and without; and that both make the same samples."""
    T = 60 if demo.smoke else 250
    eps = mg.random.default_rng(demo.seed).gumbel((1, T, model.symbols))
    both = [model.sample(1, eps=eps, labels=[2], length=T, cached=cached).numpy() for cached in (True, False)]
    demo.metric("cache_differs", np.sum(both[0] != both[1]), f"of {T} samples")
    column, R = model.stack.multiplications(), model.receptive_field
    t = np.arange(1, 10 * RATE + 1)
    cached, naive = column * t, column * np.cumsum(np.minimum(t, R))
    demo.metric("multiplications_saved", naive[RATE - 1] / cached[RATE - 1], "times fewer, for a second of sound")
    lines = {"the whole network for every sample": (t / RATE, naive), "one column, with the cache": (t / RATE, cached)}
    mg.viz.curves(lines, demo.path("work.png"), xlabel="seconds of sound", ylabel="multiplications", log="xy",
                  title=f"What sampling costs: the receptive field is {R} samples")


# ---- distillation ----------------------------------------------------------------------------------------------------
class DampedString:
    """x_t = 2ρ cos(2πf) x_{t−1} − ρ² x_{t−2} + Logistic(0, s) noise: a resonance at f, in cycles per sample."""

    def __init__(self, f=0.12, rho=0.95, log_scale=-2.0):
        self.weights, self.log_scale = (2 * rho * np.cos(2 * np.pi * f), -rho ** 2), log_scale

    def conditional(self, x):
        """p(x_t | x_<t), a distribution over (N, T)."""
        before = [mg.pad(x, ((0, 0), (k, 0)))[:, :-k] for k in (1, 2)]
        return Logistic(sum(w * b for w, b in zip(self.weights, before)), mg.full_like(x, self.log_scale))

    def filter(self, noise):
        """The process itself, driven by this noise (n, T) of Logistic(0, 1), on the host."""
        x = np.zeros((len(noise), noise.shape[1] + 2))
        for t in range(noise.shape[1]):
            x[:, t + 2] = (self.weights[0] * x[:, t + 1] + self.weights[1] * x[:, t]
                           + np.exp(self.log_scale) * noise[:, t])
        return x[:, 2:]


def distil(demo):
    """A student of the damped string: its divergence as it learns, and what both make."""
    teacher, T, steps = DampedString(), 64, 6 if demo.smoke else 600
    student = ParallelWaveNet(teacher, T, channels=12, skips=24, layers=6, rng=demo.seed)

    def measured(model, n):
        with mg.no_grad():
            return model.divergence(n, rng=mg.random.default_rng(demo.seed + 1))

    trainer = Trainer(student, lambda p: Adam(p, lr=schedules.cosine(1e-2, steps)), lambda rng: {}, seed=demo.seed,
                      validate=lambda model: {"kl": measured(model, 200)["loss"].item()},
                      validate_every=max(steps // 30, 1))
    trainer.run(steps)
    terms = measured(student, 100 if demo.smoke else 1000)
    demo.metric("student_kl", terms["loss"].item(), f"nats, {T} samples")
    demo.metric("student_entropy", terms["entropy"].item(), f"nats; the teacher's is {T * (teacher.log_scale + 2):g}")
    log = [(line["step"], line["validation/kl"]) for line in trainer.history if "validation/kl" in line]
    mg.viz.curves({"D_KL(student ‖ teacher)": tuple(zip(*log))}, demo.path("distillation.png"), log="y",
                  ylabel=f"nats for {T} samples", title="Distillation: the student comes nearer without any data")
    noise = np.random.default_rng(demo.seed).logistic(size=(2000, T)).astype(np.float32)
    draw_student(teacher.filter(noise), student.sample(2000, eps=mg.tensor(noise)).numpy(), demo.path("student.png"))


# ---- pictures --------------------------------------------------------------------------------------------------------
def rows(count, title, width=7.4, height=1.15, **options):
    """(Figure, axes (count,)): wide panels under each other."""
    figure = Figure(figsize=(width, height * count + 0.7), layout="constrained")
    figure.suptitle(title, fontsize=10, color=INK, x=0.01, ha="left")
    axes = figure.subplots(count, 1, squeeze=False, **options)[:, 0]
    for panel in axes:
        panel.spines[["top", "right"]].set_visible(False)
        panel.spines[["left", "bottom"]].set_color(FAINT)
        panel.tick_params(colors=INK, labelsize=8, color=FAINT)
    return figure, axes


def draw_surprise(bits, path):
    """Bits of each sample, averaged over strings, as the sound goes on."""
    mean = bits.mean(axis=0)
    smooth = np.convolve(mean, np.ones(8) / 8, "same")
    t = 1000 * np.arange(len(mean)) / RATE
    mg.viz.curves({"test strings": (t[4:-4], smooth[4:-4])}, path, xlabel="milliseconds after the pluck",
                  ylabel="bits per sample",
                  title="The pluck is noise and cannot be foreseen; each round of the string is smoother, costs less")


def draw_waveforms(truth, drawn, given, notes, path):
    """Each string and its continuation."""
    figure, axes = rows(len(notes), "Strings never heard: the first 60 ms are given, the model goes on (orange); in "
                                    "grey the string itself", sharex=True)
    end = min(truth.shape[1], given + round(0.09 * RATE))
    t = 1000 * np.arange(end) / RATE
    for panel, string, continued, k in zip(axes, truth, drawn, notes):
        panel.plot(t, string[:end], color="#999999", linewidth=2.2)
        panel.plot(t[:given], continued[:given], color=PALETTE[0], linewidth=0.9)
        panel.plot(t[given - 1:], continued[given - 1:end], color=PALETTE[3], linewidth=0.9)
        panel.axvline(t[given - 1], color=INK, linewidth=0.8, linestyle=":")
        panel.set_ylabel(f"{audio.note(NOTES[k]):.0f} Hz", fontsize=8, color=INK)
    axes[-1].set_xlabel("milliseconds", fontsize=9, color=INK)
    finish(figure, path)


def draw_spectrograms(truth, drawn, begin, notes, path):
    """The strings above, their continuations below."""
    figure = Figure(figsize=(7.4, 4.4), layout="constrained")
    figure.suptitle("Loudness over time and pitch: strings above; below the model goes on from the dotted line",
                    fontsize=10, color=INK, x=0.01, ha="left")
    axes = figure.subplots(2, len(notes), sharex=True, sharey=True)
    for line, waves, who in zip(axes, (truth, drawn), ("string", "model")):
        for panel, x, k in zip(line, waves, notes):
            times, frequencies, level = audio.spectrogram(x, RATE)
            image = panel.pcolormesh(1000 * times, frequencies, level.T, cmap="magma", vmin=-70, vmax=-10)
            panel.axvline(1000 * begin, color="white", linewidth=0.8, linestyle=":")
            panel.set_title(f"{who}, {audio.note(NOTES[k]):.0f} Hz", fontsize=8.5, color=INK)
            panel.tick_params(labelsize=7.5)
    for panel in axes[:, 0]:
        panel.set_ylabel("Hz", fontsize=8)
    for panel in axes[-1]:
        panel.set_xlabel("milliseconds", fontsize=8)
    figure.colorbar(image, ax=axes, label="dB", fraction=0.03)
    finish(figure, path)


def draw_student(teacher, student, path):
    """The same noise through both, and the spectra of 2,000 waveforms each."""
    figure, axes = rows(2, "A damped string driven by noise: the process itself, step by step, and its student, in one "
                           "pass", height=1.9)
    for x, name, colour, width in ((teacher, "the process", "#999999", 2.4), (student, "student", PALETTE[3], 1.0)):
        axes[0].plot(x[0], color=colour, linewidth=width, label=name)
        power = np.mean(np.abs(np.fft.rfft(x * np.hanning(x.shape[1]))) ** 2, axis=0)
        axes[1].plot(np.fft.rfftfreq(x.shape[1]), 10 * np.log10(power), color=colour, linewidth=width, label=name)
    axes[0].set_xlabel("sample, with the same noise in both", fontsize=8.5, color=INK)
    axes[1].set_xlabel("cycles per sample", fontsize=8.5, color=INK)
    axes[1].set_ylabel("power, dB", fontsize=8.5, color=INK)
    axes[0].set_ylabel("amplitude", fontsize=8.5, color=INK)
    axes[1].legend(frameon=False, fontsize=8.5)
    finish(figure, path)


if __name__ == "__main__":
    main()
