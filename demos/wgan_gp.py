"""The critic's loss of a WGAN-GP falls as its samples get better; that of a DCGAN does not.

Trains a WGAN-GP (minigen/models/adversarial/wgan.py) with a convolutional critic on the bundled digits and, for
comparison, a DCGAN with the same generator. At every stop it measures the quality of samples as Fréchet distance in the
features of the digit classifier (digit FID, less is better), and what the discriminator says on digits that it was not
trained on. For the WGAN-GP that is an estimate of the Wasserstein distance W₁ between data and samples. Draws both
against each other, the norms of the critic's gradient that the penalty pulls to 1, and samples. docs/gan.md derives it.
"""
import numpy as np
from matplotlib.figure import Figure

import minigen as mg
from minigen import data
from minigen.demo import Demo
from minigen.models.adversarial import DCGAN, WGANGP, ImageGenerator, image_discriminator
from minigen.models.adversarial.penalties import flat, input_gradient
from minigen.recipes.sets import bundled_digits
from minigen.training import Adam, Trainer
from minigen.viz.figure import FAINT, INK, PALETTE, finish, new_axes

LATENTS, WIDTH, BATCH, SAMPLES = 64, 16, 32, 2000
CRITIC_STEPS = 3                                            # of the critic for one of the generator's


def wgan_gp(rng):
    """A WGAN-GP of images, by Adam as its paper has it but faster."""
    G, D = rng.spawn(2)
    return WGANGP((28, 28, 1), LATENTS, discriminator_steps=CRITIC_STEPS,
                  generator=ImageGenerator(LATENTS, width=WIDTH, rng=G),
                  discriminator=image_discriminator(width=WIDTH, norm="layer", rng=D))


PLANS = {"WGAN-GP": (wgan_gp, {"lr": 5e-4, "betas": (0.0, 0.9)}, 2100),
         "DCGAN": (lambda rng: DCGAN(latents=LATENTS, width=WIDTH, rng=rng), {"lr": 5e-4, "betas": (0.5, 0.999)}, 700)}


def main():
    """Train both, look on the way, draw."""
    with Demo("wgan_gp", __doc__) as demo:
        train, test = bundled_digits("train", demo.data), bundled_digits("test", demo.data)
        real = data.to_unit(test["x"][:200 if demo.smoke else SAMPLES])
        runs = {}
        for name, (build, adam, steps) in PLANS.items():
            steps = steps // 100 if demo.smoke else steps
            stops = sorted({round(steps * (k / 14) ** 1.5) for k in range(1, 15)} - {0})
            model = build(mg.random.default_rng(demo.seed))
            run = runs[name] = Run(model, adam, train, real, demo.seed)
            for step in stops:
                run.go(step)
        report(demo, runs)
        draw(demo, runs, real)


class Run:
    """A model in training, and what was seen at each stop: step, FID, the discriminator's loss, gradient norms."""

    def __init__(self, model, adam, train, real, seed):
        loader = data.Loader(train, BATCH, shuffle=True, seed=seed, drop_last=True, transform=data.on(x=data.to_unit))
        self.model, self.real, self.seed = model, real, seed
        self.features = mg.metrics.digit_features(real)[0]
        self.trainer = Trainer(model, lambda p: Adam(p, **adam), loader, seed=seed, log_every=10)
        self.steps, self.fid, self.loss = [], [], []
        self.first_norms = None

    def go(self, step):
        """Train until this step, and look."""
        self.trainer.run(step)
        self.model.eval()
        fake = self.samples(len(self.real))
        self.steps.append(step)
        self.fid.append(mg.metrics.fid(self.features, mg.metrics.digit_features(fake)[0]))
        self.loss.append(self.held_out(fake))
        if self.first_norms is None:
            self.first_norms = self.norms(fake)

    def held_out(self, fake):
        """The discriminator's loss, without penalty, on test digits and samples: −W₁ by the critic, or nats."""
        with mg.no_grad():
            a_real, a_fake = (np.concatenate([self.model.discriminate(mg.tensor(part)).numpy() for part in
                                              np.array_split(x, max(1, len(x) // 250))]) for x in (self.real, fake))
        loss = self.model.loss
        return float(mg.mean(loss.real(mg.tensor(a_real))) + mg.mean(loss.fake(mg.tensor(a_fake))))

    def norms(self, fake):
        """‖∇a‖ at points on lines between test digits and samples, (500,)."""
        n = min(500, len(fake), len(self.real))
        alpha = np.random.default_rng(self.seed).random((n, 1, 1, 1), np.float32)
        between = mg.tensor(alpha * self.real[:n] + (1 - alpha) * fake[:n])
        return mg.norm(flat(input_gradient(self.model.discriminate, between)), axis=1).numpy()

    def samples(self, n):
        """n samples, the same noise each time."""
        rng = mg.random.default_rng(self.seed + 1)
        return np.concatenate([self.model.sample(len(part), rng=rng).numpy()
                               for part in np.array_split(np.arange(n), max(1, n // 250))])


def after(run, skip=1):
    """(loss, fid) without the first stops, at which a critic still learns to tell noise from digits."""
    return np.array(run.loss[skip:]), np.array(run.fid[skip:])


def rank_correlation(a, b):
    """Spearman's: of the ranks."""
    return float(np.corrcoef(np.argsort(np.argsort(a)), np.argsort(np.argsort(b)))[0, 1])


def report(demo, runs):
    """How well the discriminator's loss tells the quality of samples, and how good these are in the end."""
    for name, run in runs.items():
        key = name.lower().replace("-", "_")
        loss, fid = after(run)
        demo.metric(f"digit_fid_{key}", run.fid[-1], "in 64 digit features")
        demo.metric(f"rank_correlation_{key}", rank_correlation(np.abs(loss), fid), "of |discriminator loss| with FID")
    critic = runs["WGAN-GP"]
    demo.metric("wasserstein_first", -critic.loss[0], "pixels, W₁ by the critic")
    demo.metric("wasserstein_last", -critic.loss[-1], "pixels, W₁ by the critic")
    demo.metric("gradient_norm", float(critic.norms(critic.samples(500)).mean()), "mean on lines, the penalty wants 1")


# ---- pictures --------------------------------------------------------------------------------------------------------
def draw(demo, runs, real):
    """Every picture of this demo."""
    draw_quality(runs, demo.path("quality.png"))
    draw_norms(runs["WGAN-GP"], demo.path("norms.png"))
    for name, run in runs.items():
        mg.viz.image_grid(run.samples(80), demo.path(f"samples_{name.lower().replace('-', '_')}.png"), columns=16,
                          title=f"{name}: samples after {run.steps[-1]:,} steps, digit FID {run.fid[-1]:.1f}")


def draw_quality(runs, path):
    """Two panels: the discriminator's loss on digits it has not seen, and the FID, against the step."""
    figure = Figure(figsize=(9.6, 3.9), layout="constrained")
    names = {"WGAN-GP": "the critic's W₁, in pixels", "DCGAN": "the discriminator's loss, in nats"}
    for panel, (name, run) in zip(figure.subplots(1, 2), runs.items()):
        loss, fid = after(run)
        right = panel.twinx()
        panel.plot(run.steps, np.abs(run.loss), color=PALETTE[0], marker="o", markersize=4)
        right.plot(run.steps, run.fid, color=PALETTE[3], marker="s", markersize=4)
        panel.set_ylabel(names[name], color=PALETTE[0])
        right.set_ylabel("digit FID, less is better", color=PALETTE[3])
        panel.set_xlabel("step of the discriminator", color=INK)
        panel.set_ylim(bottom=0)
        right.set_ylim(bottom=0)
        for axes in (panel, right):
            axes.spines[["top"]].set_visible(False)
            axes.spines[["left", "right", "bottom"]].set_color(FAINT)
            axes.tick_params(colors=INK, labelsize=9, color=FAINT)
        panel.set_title(f"{name}: rank correlation {rank_correlation(np.abs(loss), fid):+.2f}", fontsize=10, color=INK,
                        loc="left")
    finish(figure, path)


def draw_norms(run, path):
    """How long the critic's gradient is between digits and samples: at the first stop, and at the end."""
    figure, axes = new_axes(6.4, 3.8, "‖∇a(x̂)‖ at points between digits and samples", "points",
                            "The penalty pulls the critic's gradient to length 1")
    last = run.norms(run.samples(500))
    bins = np.linspace(0, max(1.6, float(last.max()), float(run.first_norms.max())), 50)
    for norms, step, colour in ((run.first_norms, run.steps[0], PALETTE[5]), (last, run.steps[-1], PALETTE[0])):
        axes.hist(norms, bins, color=colour, alpha=0.75, label=f"step {step:,}: {norms.mean():.2f} ± {norms.std():.2f}")
    axes.axvline(1, color=INK, linewidth=1, linestyle="--", label="what it asks for")
    axes.legend(frameon=False, fontsize=9)
    finish(figure, path)


if __name__ == "__main__":
    main()
