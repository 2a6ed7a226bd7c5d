"""Deciding by energy: what each loss does to the energies of right and wrong answers, and which of them collapse.

Questions are points in the plane, answers their three classes; a network gives an energy to each pair, and the answer
is the one of lowest energy. The same network is trained with each loss of LeCun et al. (2006). Draws the surfaces E⁺
and E⁻ before and after, the decisions, and the gap E⁻ − E⁺ in training. The losses are in
minigen/models/energy/decisions.py. """
import numpy as np
from matplotlib.figure import Figure

import minigen as mg
from minigen import nn
from minigen.demo import Demo
from minigen.models.base import GenerativeModel, Objective
from minigen.models.energy import LOSSES, decide
from minigen.models.energy.decisions import offending
from minigen.training import Adam, Trainer
from minigen.viz.figure import FAINT, INK, PALETTE, finish, new_axes

CLASSES, SHOWN = 3, ("energy", "perceptron", "hinge", "NLL")


class EnergyClassifier(GenerativeModel):
    """E(x, y) ≥ 0 for x (N, 2) and every y: (N, 3), trained with one loss."""

    def __init__(self, loss, rng):
        self.loss, self.net = LOSSES[loss], nn.MLP([2, 32, 32, CLASSES], activation=mg.tanh, rng=rng)

    def energies(self, x):
        """All energies, (N, 3): squares, so that they have a floor on which a loss can collapse."""
        return self.net(x) ** 2

    def objectives(self):
        """One: the mean loss."""
        def loss(batch, rng):
            E = self.energies(batch["x"])
            right = mg.take_along_axis(E, mg.expand_dims(batch["y"], 1), axis=1)[:, 0]
            return {"loss": mg.mean(self.loss(E, batch["y"])), "gap": mg.mean(offending(E, batch["y"]) - right)}

        return [Objective("energy", self.net.parameters(), loss)]


def three_arms(n, seed):
    """n points on three arms of a spiral, float32 (n, 2), and their arms, int64 (n,)."""
    rng = np.random.default_rng(seed)
    y, r = rng.integers(CLASSES, size=n), np.sqrt(rng.random(n)) * 2 + 0.2
    angle = 2 * np.pi / CLASSES * y + 1.1 * r
    x = r[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1) + 0.12 * rng.standard_normal((n, 2))
    return x.astype(np.float32), y


def main():
    """Train with each loss, count the right answers, draw."""
    with Demo("energy_decision", __doc__) as demo:
        steps = 20 if demo.smoke else 1500
        train, test = three_arms(600, demo.seed), three_arms(2000, demo.seed + 1)
        runs = {name: fit(name, train, steps, demo.seed) for name in LOSSES}
        for name, (model, _, _) in runs.items():
            E = model.energies(mg.tensor(test[0]))
            right = float((decide(E).numpy() == test[1]).mean())
            demo.metric(f"right_{name}", 100 * right, "% of 2,000 new questions answered rightly")
            demo.metric(f"spread_{name}", float(np.ptp(E.numpy(), axis=1).mean()), "mean of max − min over the answers")
        draw_surfaces(runs, train, demo.path("surfaces.png"))
        draw_gaps(runs, demo.path("gaps.png"))


def fit(name, data, steps, seed):
    """(model, steps seen, gaps there)."""
    model, batch = EnergyClassifier(name, seed), {"x": mg.tensor(data[0]), "y": mg.tensor(data[1])}
    seen, gaps = [], []

    def look(model):
        E = model.energies(batch["x"])
        right = mg.take_along_axis(E, mg.expand_dims(batch["y"], 1), axis=1)[:, 0]
        seen.append(trainer.step)
        gaps.append(mg.mean(offending(E, batch["y"]) - right).item())
        return {"gap": gaps[-1]}

    trainer = Trainer(model, Adam(list(model.parameters()), lr=3e-3), lambda rng: batch, seed=seed, validate=look,
                      validate_every=max(1, steps // 50))
    trainer.run(steps)
    return model, seen, gaps


def draw_surfaces(runs, data, path):
    """For a few losses: the energy of the first answer over the plane, and the decisions with the questions on top."""
    figure = Figure(figsize=(10, 4.6), layout="constrained")
    axes = figure.subplots(2, len(SHOWN))
    at = np.linspace(-2.7, 2.7, 120)
    plane = mg.tensor(np.stack(np.meshgrid(at, at), axis=-1).reshape(-1, 2).astype(np.float32))
    for column, name in zip(axes.T, SHOWN):
        model = runs[name][0]
        with mg.no_grad():
            E = model.energies(plane).numpy().reshape(len(at), len(at), CLASSES)
        top = max(np.quantile(E[..., 0], 0.95), 1e-3)
        column[0].contourf(at, at, np.minimum(E[..., 0], top), levels=np.linspace(0, top, 20), cmap="Blues")
        column[0].set_title(f"{name}: E(x, first answer)\n0 to {top:.2g}", fontsize=9, color=INK)
        colours = np.array([[int(c[i:i + 2], 16) / 255 for i in (1, 3, 5)] for c in PALETTE[:CLASSES]])
        column[1].imshow(0.35 * colours[E.argmin(axis=2)] + 0.65, extent=[at[0], at[-1]] * 2, origin="lower")
        column[1].scatter(*data[0].T, s=3, c=colours[data[1]], linewidths=0)
        right = (model.energies(mg.tensor(data[0])).numpy().argmin(axis=1) == data[1]).mean()
        column[1].set_title(f"decisions: {right:.0%} of the questions", fontsize=9, color=INK)
        for panel in column:
            panel.set(xticks=[], yticks=[], aspect="equal")
            for spine in panel.spines.values():
                spine.set_color(FAINT)
    finish(figure, path)


def draw_gaps(runs, path):
    """E⁻ − E⁺ in training: positive means decided rightly, zero means collapsed."""
    figure, axes = new_axes(7.2, 4.2, "step", "mean of E⁻ − E⁺ (symmetric logarithmic scale)",
                            "A loss with a margin parts right from wrong (solid); one without may collapse to 0 "
                            "(dashed)")
    for (name, (_, steps, gaps)), colour in zip(runs.items(), PALETTE):
        axes.plot(steps, gaps, color=colour, linewidth=1.6, linestyle="-" if LOSSES[name].margin else "--", label=name)
    axes.set_yscale("symlog", linthresh=0.01)
    axes.axhline(0, color=INK, linewidth=1)
    axes.legend(frameon=False, fontsize=8, ncol=2)
    finish(figure, path)


if __name__ == "__main__":
    main()
