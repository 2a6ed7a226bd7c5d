"""Every loss and every constraint on the same ring: how many of eight Gaussians does each recover?

The two small networks of demos/gan_2d.py are trained on the ring of 8 Gaussians with each loss of
minigen/models/adversarial/losses.py, and with each way to hold the discriminator back: clipped weights, gradient
penalties, spectral norm. Modes are counted as there. Change ``--seed`` to see how much of it is luck; docs/gan.md has
the table of five seeds.
"""
from gan_2d import Method, extent, panels, points, train

import minigen as mg
from minigen.data.densities import ring
from minigen.demo import Demo
from minigen.models.adversarial import GAN, R1, SNGAN, WGAN, WGANGP
from minigen.viz.figure import INK, PALETTE, finish

STEPS = 1600
MOMENTUM = (0.5, 0.9)


def gan(loss, **settings):
    """A GAN of this loss by Adam with β₁ = 0.5."""
    return Method(lambda **nets: GAN(loss=loss, **settings, **nets), MOMENTUM)


METHODS = {
    "minimax": gan("minimax"),
    "non-saturating": gan("non-saturating"),
    "classification error": gan("classification-error"),
    "least squares": gan("least-squares"),
    "hinge": gan("hinge"),
    "WGAN, clipping": Method(lambda **nets: WGAN(clip=0.1, discriminator_steps=2, **nets), (0.0, 0.9)),
    "WGAN-GP": Method(lambda **nets: WGANGP(penalty_weight=0.1, discriminator_steps=2, **nets), (0.0, 0.9), lr=2e-3),
    "R1": gan("non-saturating", penalty=R1(0.1)),
    "spectral norm": Method(lambda **nets: SNGAN(lipschitz=10.0, **nets), (0.0, 0.9)),
}


def main():
    """Train, count, draw."""
    with Demo("gan_losses", __doc__) as demo:
        data, runs = ring(), {}
        for name, method in METHODS.items():
            runs[name] = train(data, method, 32 if demo.smoke else STEPS, demo.seed)
            found = runs[name].found[-1]
            key = name.replace(",", "").replace(" ", "_").replace("-", "_").lower()
            demo.metric(f"modes_{key}", found.recovered, f"of {found.total} modes")
            demo.metric(f"quality_{key}", 100 * found.quality, "% of samples within 3σ of a mode")
        draw_samples(data, runs, demo.path("samples.png"))
        mg.viz.curves({name: (run.steps, [100 * f.quality for f in run.found]) for name, run in runs.items()},
                      demo.path("quality.png"), ylabel="% of samples within 3σ of a mode",
                      title="The ring, loss by loss: how many samples belong to a mode")


def draw_samples(data, runs, path):
    """What each loss ends with, over the data."""
    figure, axes = panels(2, 5, extent(data))
    points(axes[0, 0], data.sample(2500, rng=1)[0], "data", INK)
    for panel, (name, run), colour in zip(axes.flat[1:], runs.items(), PALETTE):
        found = run.found[-1]
        points(panel, run.samples[-1], f"{name}\n{found.recovered} of 8 modes, {found.quality:.0%} within 3σ", colour)
    finish(figure, path)


if __name__ == "__main__":
    main()
