"""DDIM: the same diffusion model in fewer steps, and backwards, from a digit to the noise that it comes from.

Trains a small class-conditional U-Net (recipe ``ddpm``) on the bundled digits, or shows the model of ``--model``.
Draws: the same noise in more and more steps, quality against the number of steps without noise (η = 0) and with DDPM's
(η = 1), test digits turned into noise and back, and the way between two test digits through their noise. The derivation
is in docs/diffusion.md.
"""
import numpy as np

import minigen as mg
from minigen.demo import Demo
from minigen.models.diffusion import DDIM
from minigen.recipes import progress
from minigen.recipes.diffusion import SMOKE, shown, to_signed
from minigen.recipes.sets import bundled_digits


def main():
    """Train, measure, draw."""
    with Demo("ddim", __doc__, recipe="ddpm") as demo:
        model, _ = demo.trained(SMOKE)
        test = bundled_digits("test", demo.data)
        x, y = to_signed(test["x"]), test["y"]
        steps = (1, 2, 4) if demo.smoke else (1, 2, 5, 10, 20, 50)
        draw_steps(model, steps, mg.random.default_rng(demo.seed), demo.path("steps.png"))
        draw_quality(model, steps, x, 20 if demo.smoke else 160, demo)
        digits = (2,) if demo.smoke else (0, 2, 3, 5, 8)
        pairs = [[int(i) for i in np.flatnonzero(y == digit)[:2]] for digit in digits]
        draw_inversion(model, x, y, [i for pair in pairs for i in pair], steps[1:], demo)
        draw_interpolation(model, x, y, pairs, min(20, steps[-1]), demo.path("interpolation.png"))


def draw_steps(model, steps, rng, path):
    """A digit of each class from the same noise, in more and more steps."""
    z, labels = rng.standard_normal((10, *model.event_shape)), np.arange(10)
    rows = [DDIM(model, S).sample(10, z=z, labels=labels).numpy() for S in steps]
    mg.viz.image_grid(shown(np.concatenate(rows)), path, columns=10, labels=[str(S) for S in steps],
                      heads=[str(k) for k in labels],
                      title="DDIM, η = 0: the same noise in more and more steps. In few steps it shows the mean of "
                            "all that it could be. At the left the number of steps, above the class")


def draw_quality(model, steps, x, n, demo):
    """Digit FID of n samples against the number of steps, for both ends of η, from the same first noise."""
    labels, lines = np.arange(n) % 10, {}
    real = mg.metrics.digit_features(shown(x))[0]
    for eta in (0.0, 1.0):
        fids = []
        for S in progress(steps, f"samples with η = {eta:g}"):
            rng = mg.random.default_rng(demo.seed)
            samples = [DDIM(model, S, eta).sample(len(some), rng=rng, labels=some).numpy()
                       for some in np.array_split(labels, max(1, n // 50))]
            fids.append(mg.metrics.fid(real, mg.metrics.digit_features(shown(np.concatenate(samples)))[0]))
            demo.metric(f"digit_fid_eta_{eta:g}_steps_{S}", fids[-1], f"of {n} samples")
        lines[f"η = {eta:g}"] = (np.array(steps), np.array(fids))
    spread = np.linspace(0, len(real) - 1, n).astype(int)
    floor = mg.metrics.fid(real, real[spread])
    demo.metric("digit_fid_of_data", floor, f"of {n} test digits")
    mg.viz.curves(lines, demo.path("quality.png"), xlabel="steps", ylabel=f"digit FID of {n} samples, less is better",
                  log="xy", title="Quality against the number of steps", levels={f"{n} test digits": floor})


def draw_inversion(model, x, y, rows, steps, demo):
    """Test digits → noise → digits, and the error against the number of steps."""
    digits, labels, errors = mg.tensor(x[rows]), y[rows], []
    for S in steps:
        sampler = DDIM(model, S)
        z = sampler.invert(digits, labels=labels)
        back = sampler.sample(len(rows), z=z, labels=labels)
        errors.append(rms(back - digits))
    nearly = model.process.diffuse(digits, 1, mg.random.default_rng(demo.seed).standard_normal(digits.shape))
    with mg.no_grad():
        floor = rms(model.predict(nearly, 1, labels).x - digits)
    demo.metric("round_trip", errors[-1], f"root mean square error of pixels in [−1, 1], {steps[-1]} steps")
    demo.metric("last_guess", floor, "the same, of x̂ for z_1")
    demo.metric("noise_std", float(z.numpy().std()), "standard deviation of the noise found; 1 were perfect")
    mg.viz.image_grid(np.concatenate([shown(digits), 0.5 + z.numpy() / 6, shown(back)]), demo.path("inversion.png"),
                      columns=len(rows), labels=["digit", "noise", "back"],
                      title=f"Inversion in {steps[-1]} steps: test digits, the noise $z_T$ that DDIM makes them from, "
                            "and what it makes of that noise")
    mg.viz.curves({"there and back": (np.array(steps), np.array(errors))}, demo.path("round_trip.png"), xlabel="steps",
                  ylabel="root mean square error of pixels", log="x", levels={"x̂ of a nearly clean digit": floor},
                  title="The round trip against the number of steps")


def rms(x):
    """Root mean square, a float."""
    return float(mg.sqrt(mg.mean(x * x)))


def draw_interpolation(model, x, y, pairs, S, path):
    """Between two test digits of a class, on the great circle between their noises."""
    sampler, columns, ends = DDIM(model, S), 11, np.array(pairs)                                       # (rows, 2)
    flat = ends.ravel()
    z = sampler.invert(mg.tensor(x[flat]), labels=y[flat]).numpy()
    a, b = z.reshape(*ends.shape, *model.event_shape).swapaxes(0, 1)
    rows = np.stack([slerp(a, b, share) for share in np.linspace(0, 1, columns)], axis=1)         # (rows, columns, …)
    points = mg.tensor(rows.reshape(-1, *model.event_shape).astype(np.float32))
    images = sampler.sample(len(points), z=points, labels=np.repeat(y[ends[:, 0]], columns))
    mg.viz.image_grid(shown(images), path, columns=columns, heads=[f"{v:.1f}" for v in np.linspace(0, 1, columns)],
                      title="Between two test digits of a class: turn both into noise, go along the great circle "
                            "between the two noises, and come back from each point")


def slerp(a, b, share):
    """Points (rows, *event) on the great circle from a to b, whose lengths a straight line would not keep."""
    axes = tuple(range(1, a.ndim))
    lengths = np.sqrt((a * a).sum(axes, keepdims=True) * (b * b).sum(axes, keepdims=True))
    angle = np.arccos(np.clip((a * b).sum(axes, keepdims=True) / lengths, -1, 1))
    return (np.sin((1 - share) * angle) * a + np.sin(share * angle) * b) / np.sin(angle)


if __name__ == "__main__":
    main()
