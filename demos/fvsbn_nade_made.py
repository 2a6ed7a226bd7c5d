"""Three models that write a digit bit by bit, side by side: FVSBN, NADE and MADE.

Trains each on the binarised digits for a while, then draws: samples; what each makes of the lower half of a digit when
the upper half is given; how probable it finds given images (a digit, the digit upside down, noise, nothing), and which
pixels surprise it; the weights of FVSBN and NADE as pictures; the masks of a small MADE; the likelihood as training
goes on. The models are in minigen/models/autoregressive/, the derivation is docs/autoregressive.md.
"""
import dataclasses
from collections.abc import Callable

import numpy as np
from matplotlib.figure import Figure

import minigen as mg
from minigen import data
from minigen.demo import Demo
from minigen.models.autoregressive import FVSBN, MADE, NADE
from minigen.recipes.sets import fixed_digits
from minigen.training import SGD, Adam, Trainer, schedules
from minigen.viz.figure import FAINT, INK, PALETTE, finish

SIDE = 28


@dataclasses.dataclass(frozen=True)
class Plan:
    """How to make a model, how long to train it, by which optimiser and from which learning rate."""
    build: Callable
    steps: int
    optimizer: Callable
    lr: float


PLANS = {
    "FVSBN": Plan(lambda rng: FVSBN(rng=rng), 2000, lambda p, lr: SGD(p, lr=lr, momentum=0.9), 0.1),
    "NADE": Plan(lambda rng: NADE(hidden=200, rng=rng), 600, lambda p, lr: Adam(p, lr=lr), 8e-3),
    "MADE": Plan(lambda rng: MADE(hidden=(500,), rng=rng), 2000, lambda p, lr: Adam(p, lr=lr), 5e-3),
}


def main():
    """Train, measure, draw."""
    with Demo("fvsbn_nade_made", __doc__) as demo:
        test = fixed_digits("test", demo.data)
        x = data.to_unit(test["x"])[:100 if demo.smoke else 2000]
        trained = {name: train(name, plan, demo, x) for name, plan in PLANS.items()}
        models = {name: model for name, (model, _) in trained.items()}
        for name, model in models.items():
            demo.metric(f"test_nll_{name.lower()}", nll(model, x), "nats")
        firsts = [np.flatnonzero(test["y"][:len(x)] == digit)[0] for digit in range(10)]
        draw_samples(models, demo)
        draw_completions(models, x[firsts], demo)
        draw_probabilities(models, x[firsts], demo)
        draw_weights(models, demo)
        draw_masks(demo.path("masks.png"))
        mg.viz.curves({name: curve for name, (_, curve) in trained.items()}, demo.path("curve.png"),
                      xlabel="passes over the training digits", ylabel="−log p, nats per test digit", log="x",
                      title="The likelihood of test digits, exact at every point")


def train(name, plan, demo, x):
    """A trained model, and (passes over the data, test −log p) on the way."""
    batch, steps = (20, 4) if demo.smoke else (100, plan.steps)
    loader = data.Loader(fixed_digits("train", demo.data), batch, seed=demo.seed, transform=data.on(x=data.binarise))
    model = plan.build(mg.random.default_rng(demo.seed))
    trainer = Trainer(model, lambda p: plan.optimizer(p, schedules.cosine(plan.lr, steps)), loader, seed=demo.seed,
                      validate=lambda m: {"nll": nll(m, x[:500])}, validate_every=max(1, steps // 12))
    trainer.run(steps)
    tested = [line for line in trainer.history if "validation/nll" in line]
    return model.eval(), ([line["step"] * batch / len(loader.dataset) for line in tested],
                          [line["validation/nll"] for line in tested])


def nll(model, x):
    """Mean −log p(x), nats."""
    with mg.no_grad():
        parts = [model.log_prob(mg.tensor(x[k:k + 250])).numpy() for k in range(0, len(x), 250)]
    return -float(np.concatenate(parts).mean(dtype=np.float64))


# ---- pictures --------------------------------------------------------------------------------------------------------
def draw_samples(models, demo):
    """Two rows of samples from each model."""
    rng, rows, labels = mg.random.default_rng(demo.seed), [], []
    for name, model in models.items():
        rows.append(model.sample(28, rng=rng).numpy())
        labels += [name, ""]
    mg.viz.image_grid(np.concatenate(rows), demo.path("samples.png"), columns=14, labels=labels,
                      title="Samples, each drawn bit by bit from the top left")


def draw_completions(models, x, demo):
    """The upper half given, the lower half drawn four times by each model."""
    rng, known = mg.random.default_rng(demo.seed + 1), np.zeros((SIDE, SIDE, 1), bool)
    known[:SIDE // 2] = True
    given = np.where(known, x, 0.5)
    rows, labels = [x, given], ["digit", "given"]
    for name, model in models.items():
        for k in range(3):
            rows.append(model.complete(mg.tensor(x), known, rng=rng).numpy())
            labels.append(name if k == 0 else "")
    mg.viz.image_grid(np.concatenate(rows), demo.path("completions.png"), columns=len(x), labels=labels,
                      title="The upper half is given; each row is one exact draw of p(lower | upper)")


def draw_probabilities(models, x, demo):
    """log p of a digit and of what it is not, by every model; and which of its pixels surprise NADE."""
    rng, digit = np.random.default_rng(demo.seed), x[2]
    images = {
        "a digit": digit, "upside down": digit[::-1], "moved by 3": np.roll(digit, 3, axis=1),
        "4 bits flipped": np.where(rng.permutation(SIDE * SIDE).reshape(SIDE, SIDE, 1) < 4, 1 - digit, digit),
        "inverted": 1 - digit, "noise": (rng.random(digit.shape) < digit.mean()).astype(np.float32),
        "nothing": np.zeros_like(digit)}
    stack = mg.tensor(np.stack(list(images.values())).astype(np.float32))
    with mg.no_grad():
        log_p = {name: model.log_prob(stack).numpy() for name, model in models.items()}
        surprise = -models["NADE"].log_conditionals(stack).numpy()[..., 0]
    for k, name in enumerate(images):
        demo.metric(f"nade_log_p_{name.replace(' ', '_')}", log_p["NADE"][k], "nats")
    figure = Figure(figsize=(1.35 * len(images), 4.0), layout="constrained")
    axes = figure.subplots(2, len(images))
    for k, name in enumerate(images):
        top, below = axes[:, k]
        top.imshow(stack.numpy()[k, ..., 0], cmap="gray", interpolation="nearest")
        below.imshow(surprise[k], cmap="magma", vmin=0, vmax=6, interpolation="nearest")
        top.set_title(name, fontsize=9, color=INK)
        below.set_title("\n".join(f"{m} {log_p[m][k]:.0f}" for m in models), fontsize=8, color=INK)
        for panel in (top, below):
            panel.set(xticks=[], yticks=[])
            panel.spines[:].set_color(FAINT)
    figure.suptitle("log p of given images, in nats; below, −log p(pixel | those before) in NADE, white: 6 nats or "
                    "more", fontsize=9.5, color=INK, x=0.01, ha="left")
    finish(figure, demo.path("probabilities.png"))


def draw_weights(models, demo):
    """What moves the logit of some pixels in FVSBN, and what some hidden units of NADE look at."""
    weight, scale = models["FVSBN"].weight.detach().numpy(), 2.0
    pixels = [SIDE * row + column for row in (8, 14, 20) for column in (6, 10, 14, 18, 22)]
    W = models["NADE"].W.detach().numpy()                                                      # (D, H)
    units = np.argsort(-W.std(axis=0))[:15]
    figure = Figure(figsize=(9.6, 3.4), layout="constrained")
    left, right = figure.subfigures(1, 2)
    for part, title, maps, limit in (
            (left, "FVSBN: what raises (red) or lowers (blue) the green pixel", weight[:, pixels].T, scale),
            (right, "NADE: rows of W, what 15 hidden units add up", W[:, units].T, np.abs(W[:, units]).max() * 0.7)):
        part.suptitle(title, fontsize=9.5, color=INK)
        for k, (panel, values) in enumerate(zip(part.subplots(3, 5).flat, maps)):
            panel.imshow(values.reshape(SIDE, SIDE), cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="nearest")
            if part is left:
                panel.plot(pixels[k] % SIDE, pixels[k] // SIDE, "s", color=PALETTE[2], markersize=4)
            panel.set(xticks=[], yticks=[])
            panel.spines[:].set_color(FAINT)
    finish(figure, demo.path("weights.png"))


def draw_masks(path):
    """The masks of a small MADE, natural order and a random one, and which output sees which input."""
    D, figure = 9, Figure(figsize=(9.6, 5.2), layout="constrained")
    orders = {"in order": np.arange(D), "order 4 0 7 2 8 5 1 3 6": np.array([4, 0, 7, 2, 8, 5, 1, 3, 6])}
    for axes, (name, order) in zip(figure.subplots(2, 4), orders.items()):
        net = MADE(D, hidden=(12, 12), order=order).net
        masks = [layer.mask.numpy() for layer in net.layers]
        shown = {f"input → 12 units, {name}": masks[0], "12 → 12 units": masks[1], "12 units → output": masks[2],
                 "their product: paths": masks[0] @ masks[1] @ masks[2]}
        for panel, (title, mask) in zip(axes, shown.items()):
            paths = title.startswith("their")
            panel.imshow(mask, cmap="Blues" if paths else "gray_r", vmin=0, vmax=mask.max() * (1 if paths else 2),
                         interpolation="nearest")
            panel.set_title(title, fontsize=8.5, color=INK)
            panel.set(xticks=[], yticks=[])
            panel.set_ylabel("from", fontsize=8, color=INK)
            panel.set_xlabel("to", fontsize=8, color=INK)
            panel.spines[:].set_color(FAINT)
    finish(figure, path)


if __name__ == "__main__":
    main()
