"""A DCGAN learns to draw digits, and what its latents mean.

Trains a small DCGAN (minigen/models/adversarial/dcgan.py) on the bundled digits; then a GAN of multilayer perceptrons
for as many CPU seconds as the DCGAN had at its last stop but one, and compares them by the Fréchet distance in the
features of the digit classifier (digit FID: less is better). Draws: the same noise while training goes on, samples,
the nearest training images, the way from one digit to another, arithmetic on latents, the players' losses, and FID
against time. The derivation is in docs/gan.md.
"""
import functools
import time

import numpy as np

import minigen as mg
from minigen import data
from minigen.demo import Demo
from minigen.models.adversarial import DCGAN, GAN
from minigen.models.adversarial.dcgan import spherical
from minigen.recipes.sets import bundled_digits
from minigen.training import Adam, Trainer, schedules

LATENTS, WIDTH = 64, 16
STOPS, SAMPLES = (0, 50, 100, 200, 400, 800, 2000), 2000


def main():
    """Train both, measure, draw."""
    with Demo("dcgan", __doc__) as demo:
        stops, n = ((0, 2, 4, 8), 200) if demo.smoke else (STOPS, SAMPLES)
        train, test = bundled_digits("train", demo.data), bundled_digits("test", demo.data)
        real = data.to_unit(test["x"][:n])
        ours = Run(DCGAN(latents=LATENTS, width=WIDTH, rng=demo.seed), 32, (1e-3, 4e-3), stops[-1], train, real,
                   demo.seed)
        for step in stops:
            ours.go(step)
        rival = GAN((28, 28, 1), LATENTS, (256, 256), rng=demo.seed)
        theirs = Run(rival, 64, (2e-3, 2e-3), 3 * stops[-1], train, real, demo.seed, progress=False)
        for seconds in mg.recipes.progress(ours.seconds[1:-1], "the GAN of perceptrons, for as long"):
            theirs.go_for(seconds)
        report(demo, ours, theirs, real)
        draw(demo, ours, theirs, data.to_unit(train["x"]))


class Run:
    """A model in training, looked at a few times on the way: steps, CPU seconds, FID, and images of the same noise.

    ``rates``: of D and G in the beginning; they fall to zero along half a cosine.
    """

    def __init__(self, model, batch, rates, steps, train, real, seed, progress=True):
        loader = data.Loader(train, batch, shuffle=True, seed=seed, drop_last=True, transform=data.on(x=data.to_unit))
        self.model, self.seed = model, seed
        D, G = (functools.partial(Adam, lr=schedules.cosine(rate, steps), betas=(0.5, 0.99)) for rate in rates)
        self.trainer = Trainer(model, {"discriminator": D, "generator": G}, loader, seed=seed, log_every=10,
                               progress=progress)
        self.real, self.features = real, mg.metrics.digit_features(real)[0]
        self.z = mg.random.default_rng(seed + 1).standard_normal((42, LATENTS))
        self.spent, self.steps, self.seconds, self.fid, self.film = 0.0, [], [], [], []

    def train(self, step):
        """Train until this step."""
        began = time.process_time()
        self.trainer.run(step)
        self.spent += time.process_time() - began

    def go(self, step):
        """Train until this step, and look."""
        self.train(step)
        self.model.eval()
        fake = mg.metrics.digit_features(self.samples(len(self.real)))[0]
        self.fid.append(mg.metrics.fid(self.features, fake))
        self.steps.append(self.trainer.step)
        self.seconds.append(self.spent)
        self.film.append(self.generate(self.z))

    def go_for(self, seconds):
        """Train until so many CPU seconds have been spent on training, and look."""
        while self.spent < seconds:
            self.train(self.trainer.step + 10)
        self.go(self.trainer.step)

    def generate(self, z):
        """Images (N, 28, 28, 1) in [0, 1] of latents (N, K), NumPy. (The perceptron's output is not bounded.)"""
        with mg.no_grad():
            return np.clip(self.model.generate(mg.tensor(z)).numpy(), 0, 1)

    def samples(self, n):
        """n samples, the same each time, in pieces."""
        z = mg.random.default_rng(self.seed + 2).standard_normal((n, LATENTS)).numpy()
        return np.concatenate([self.generate(part) for part in np.array_split(z, max(1, n // 250))])


def report(demo, ours, theirs, real):
    """The metrics of both: at the time at which the rival stopped, and of the DCGAN in the end."""
    for name, run, stop in (("dcgan", ours, -2), ("mlp", theirs, -1)):
        demo.metric(f"equal_time_fid_{name}", run.fid[stop], f"in 64 digit features, after {run.steps[stop]} steps")
        demo.metric(f"equal_time_{name}", run.seconds[stop], "CPU seconds of training")
    for name, (value, unit) in mg.metrics.image_metrics(real, ours.samples(len(real))).items():
        demo.metric(name, value, unit)


# ---- pictures --------------------------------------------------------------------------------------------------------
def draw(demo, ours, theirs, train):
    """Every picture of this demo."""
    viz, samples = mg.viz, ours.samples(len(ours.real))
    viz.image_grid(np.concatenate([images[:14] for images in ours.film]), demo.path("film.png"), columns=14,
                   labels=[f"step {step}" for step in ours.steps],
                   title="The same noise while the DCGAN learns, a column each")
    viz.image_grid(samples[:100], demo.path("samples.png"), columns=10,
                   title=f"Samples of a DCGAN after {ours.steps[-1]:,} steps, digit FID {ours.fid[-1]:.1f}")
    viz.image_grid(np.concatenate([ours.film[-2], theirs.film[-1]]), demo.path("compared.png"), columns=14,
                   labels=["DCGAN"] * 3 + ["perceptrons"] * 3,
                   title=f"After the same {ours.seconds[-2]:.0f} CPU seconds of training: digit FID {ours.fid[-2]:.1f} "
                         f"and {theirs.fid[-1]:.1f}")
    draw_neighbours(samples[100:114], train, demo.path("neighbours.png"))
    draw_interpolation(ours, demo.path("interpolation.png"))
    draw_arithmetic(ours, samples, demo.path("arithmetic.png"))
    draw_curves(ours, theirs, demo)


def draw_neighbours(samples, train, path):
    """Samples, and below each the two training images that are nearest in pixels: is it a copy?"""
    flat, known = samples.reshape(len(samples), -1), train.reshape(len(train), -1)
    squared = (flat ** 2).sum(1)[:, None] - 2 * flat @ known.T + (known ** 2).sum(1)                # (n, N)
    nearest = np.argsort(squared, axis=1)[:, :2]
    mg.viz.image_grid(np.concatenate([samples, *train[nearest.T]]), path, columns=len(samples),
                      labels=["sample", "nearest", "second"],
                      title="Samples, and the training images nearest to them in pixels: alike, not copies")


def draw_interpolation(run, path):
    """Along the arc from one latent to the next."""
    ends, t = run.z[:9], np.linspace(0, 1, 13, dtype=np.float32)
    arcs = spherical(ends[:-1], ends[1:], mg.tensor(t)).numpy()                                    # (8, 13, K)
    mg.viz.image_grid(run.generate(arcs.reshape(-1, LATENTS)), path, columns=13, heads=[f"{v:.2g}" for v in t],
                      title="From one latent to the next along the arc between them: each row ends where the next "
                            "begins")


def draw_arithmetic(run, samples, path):
    """A digit, plus t times what leads from thin samples to thick ones: the difference of their mean latents."""
    z = mg.random.default_rng(run.seed + 2).standard_normal((len(samples), LATENTS)).numpy()
    order, fifth = np.argsort(samples.mean(axis=(1, 2, 3))), len(samples) // 5                      # by ink
    thicker = z[order[-fifth:]].mean(axis=0) - z[order[:fifth]].mean(axis=0)
    logits = mg.metrics.digit_features(samples)[1]
    best = (logits - np.sort(logits, axis=1)[:, -2:-1]).argmax(axis=0)                              # of each digit
    t = np.linspace(-3, 3, 13)
    moved = z[best][:, None] + t[:, None] * thicker                                                # (10, 13, K)
    moved *= np.linalg.norm(z[best], axis=1)[:, None, None] / np.linalg.norm(moved, axis=2, keepdims=True)
    mg.viz.image_grid(run.generate(moved.reshape(-1, LATENTS).astype(np.float32)), path, columns=len(t),
                      labels=[f"z of a {digit}" for digit in range(10)],
                      heads=[f"t = {v:+.1f}".replace("-", "−") if v else "t = 0" for v in t],
                      title="Arithmetic on latents: z + t (mean z of thick samples − mean z of thin ones), "
                            "brought back to the length of z")


def draw_curves(ours, theirs, demo):
    """The players' losses of the DCGAN, and the FID of both against the time spent on training."""
    history = ours.trainer.history
    steps = [line["step"] for line in history]
    mg.viz.curves({"discriminator": (steps, [line["discriminator/loss"] for line in history]),
                   "generator": (steps, [line["generator/loss"] for line in history])}, demo.path("losses.png"),
                  levels={"both undecided: 2 log 2": 2 * np.log(2)}, ylabel="nats per image",
                  title="The losses of a DCGAN say who is ahead, not how good the samples are")
    mg.viz.curves({name: (run.seconds[1:], run.fid[1:]) for name, run in (("DCGAN", ours), ("perceptrons", theirs))},
                  demo.path("fid.png"), xlabel="CPU seconds of training", ylabel="digit FID, less is better", log="xy",
                  title="Convolutions pay: quality against time, on the same digits")


if __name__ == "__main__":
    main()
