"""The lower half of a digit, imagined by four models that draw bit by bit.

FVSBN, MADE, a Row LSTM (PixelRNN) and a gated PixelCNN are trained on the bundled digits, in black and white at
14 × 14. All of them draw from the top left to the bottom right, so with the upper half given each can draw the lower
one exactly from its p(lower | upper). Drawn are: completions of a digit of each class; the mean of many completions,
which shows how sure a model is and of what; and what the true lower half costs each of them. The models are in
minigen/models/autoregressive/, the derivation is in docs/autoregressive.md.
"""
import dataclasses
from collections.abc import Callable

import numpy as np
from matplotlib.figure import Figure

import minigen as mg
from minigen import data
from minigen.demo import Demo
from minigen.models.autoregressive import FVSBN, MADE, GatedPixelCNN, PixelRNN
from minigen.recipes.pixel import small_black_and_white
from minigen.training import Adam, Trainer, schedules
from minigen.viz.figure import FAINT, INK, PALETTE, finish

SIDE, HALF, GREY = 14, 7, 0.5
SHAPE = (SIDE, SIDE, 1)
KNOWN = np.repeat(np.arange(SIDE)[:, None, None] < HALF, SIDE, axis=1)                         # (H, W, 1)


@dataclasses.dataclass(frozen=True)
class Plan:
    """How to make a model, and how long to train it, on batches of how many, from which learning rate."""
    build: Callable
    steps: int
    batch: int
    lr: float


PLANS = {
    "FVSBN": Plan(lambda rng: FVSBN(SHAPE, rng=rng), 1000, 100, 5e-3),
    "MADE": Plan(lambda rng: MADE(SHAPE, hidden=(400,), rng=rng), 1000, 100, 2e-3),
    "Row LSTM": Plan(lambda rng: PixelRNN(SHAPE, "row", hidden=24, layers=2, rng=rng), 1200, 16, 4e-3),
    "gated PixelCNN": Plan(lambda rng: GatedPixelCNN(SHAPE, features=16, layers=4, kernel=5, head_width=32, places=True,
                                                     rng=rng), 1300, 16, 4e-3),
}


def main():
    """Train the four, measure, draw."""
    with Demo("completion", __doc__) as demo:
        test = small_black_and_white("test", demo.data)
        x = data.to_unit(test["x"])[:50 if demo.smoke else 1000]
        models = {name: train(plan, demo) for name, plan in PLANS.items()}
        costs = {name: cost(model, x) for name, model in models.items()}
        for name, (upper, lower) in costs.items():
            key = name.lower().replace(" ", "_")
            demo.metric(f"test_nll_{key}", upper + lower, "nats")
            demo.metric(f"test_nll_lower_{key}", lower, "nats, lower half given the upper")
        firsts = [np.flatnonzero(test["y"][:len(x)] == digit)[0] for digit in range(10)]
        draw_completions(models, x[firsts], 1 if demo.smoke else 3, demo)
        draw_means(models, x[firsts], 2 if demo.smoke else 20, demo)
        draw_costs(costs, demo.path("costs.png"))


def train(plan, demo):
    """A trained model."""
    batch, steps = (8, 3) if demo.smoke else (plan.batch, plan.steps)
    loader = data.Loader(small_black_and_white("train", demo.data), batch, seed=demo.seed,
                         transform=data.on(x=data.to_unit))
    model = plan.build(mg.random.default_rng(demo.seed))
    trainer = Trainer(model, lambda p: Adam(p, lr=schedules.cosine(plan.lr, steps)), loader, seed=demo.seed)
    trainer.run(steps)
    return model.eval()


def cost(model, x, size=100):
    """Mean −log p of the upper halves, and of the lower halves given the upper, nats."""
    with mg.no_grad():
        parts = [model.log_conditionals(mg.tensor(x[k:k + size])).numpy() for k in range(0, len(x), size)]
    by_row = -np.concatenate(parts).mean(axis=0, dtype=np.float64).sum(axis=(1, 2))                # (H,)
    return by_row[:HALF].sum(), by_row[HALF:].sum()


# ---- pictures --------------------------------------------------------------------------------------------------------
def draw_completions(models, x, times, demo):
    """The lower half drawn a few times by each model."""
    rng, rows, labels = mg.random.default_rng(demo.seed + 1), [x, np.where(KNOWN, x, GREY)], ["digit", "occluded"]
    for name, model in models.items():
        for k in range(times):
            rows.append(model.complete(mg.tensor(x), KNOWN, rng=rng).numpy())
            labels.append(name if k == 0 else "")
    mg.viz.image_grid(np.concatenate(rows), demo.path("completions.png"), columns=len(x), labels=labels,
                      title="An occluded digit completed by four models: each row is one exact draw of p(lower | "
                            "upper)")


def draw_means(models, x, times, demo):
    """The mean of many draws: the probability of each pixel given the upper half."""
    rng, rows = mg.random.default_rng(demo.seed + 2), [x]
    for model in models.values():
        drawn = model.complete(mg.tensor(np.repeat(x, times, axis=0)), KNOWN, rng=rng).numpy()
        rows.append(drawn.reshape(len(x), times, SIDE, SIDE, 1).mean(axis=1))
    mg.viz.image_grid(np.concatenate(rows), demo.path("means.png"), columns=len(x), labels=["digit", *models],
                      title=f"The mean of {times} completions: a sharp lower half is a model that is sure of it")


def draw_costs(costs, path):
    """What the halves of test digits cost each model."""
    figure = Figure(figsize=(6.4, 2.9), layout="constrained")
    axes, names = figure.add_subplot(), list(costs)[::-1]
    upper, lower = np.array([costs[name] for name in names]).T
    axes.barh(names, upper, color=PALETTE[5], label="upper half")
    axes.barh(names, lower, left=upper, color=PALETTE[0], label="lower half, given the upper")
    for k, (a, b) in enumerate(zip(upper, lower)):
        for at, text, colour, align in ((a / 2, f"{a:.1f}", INK, "center"), (a + b / 2, f"{b:.1f}", "white", "center"),
                                        (a + b, f" {a + b:.1f}", INK, "left")):
            axes.text(at, k, text, va="center", ha=align, fontsize=9, color=colour)
    axes.set_xlim(0, 1.12 * (upper + lower).max())
    axes.set_xlabel("−log p, nats per test digit", color=INK)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(FAINT)
    axes.tick_params(colors=INK, color=FAINT)
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    axes.set_title("What a test digit costs each model, exactly", fontsize=10, color=INK, loc="left")
    finish(figure, path)


if __name__ == "__main__":
    main()
