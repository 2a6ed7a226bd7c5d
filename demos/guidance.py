"""Guidance: a diffusion model led to a class, by a classifier of noised images or by its own two opinions.

Trains a small U-Net that is told the class in nine of ten cases (recipe ``ddpm``), or shows the model of ``--model``,
and a classifier of noised digits. Draws: what the classifier can tell at every t, digits of each class at growing scale
by both kinds of guidance, and what the scale does to their accuracy, precision and recall. The derivation is in
docs/diffusion.md.
"""
import numpy as np
from matplotlib.figure import Figure

import minigen as mg
from minigen.data import Loader, on
from minigen.demo import Demo
from minigen.models.diffusion import DDIM, DDPM, NoisyClassifier, classifier, classifier_free
from minigen.recipes import progress
from minigen.recipes.diffusion import SMOKE, shown, to_signed
from minigen.recipes.sets import bundled_digits
from minigen.training import Adam, Trainer, schedules
from minigen.viz.figure import INK, PALETTE

SCALES = (0.0, 1.0, 2.0, 4.0, 8.0)


def main():
    """Train, measure, draw."""
    with Demo("guidance", __doc__, recipe="ddpm") as demo:
        model, _ = demo.trained(SMOKE)
        test = bundled_digits("test", demo.data)
        judge = train_judge(model.process, bundled_digits("train", demo.data), 5 if demo.smoke else 200, demo.seed)
        draw_judge(judge, to_signed(test["x"]), test["y"], 50 if demo.smoke else 300, demo)
        plain = DDPM(model.network, model.event_shape, model.process.beta[1:], prediction=model.prediction,
                     variance=model.variance, loss=model.loss, clip=model.clip)                # told no class, ever
        kinds = {"classifier": (plain, lambda scale: classifier(judge, scale)),
                 "classifier-free": (model, lambda scale: classifier_free(scale - 1))}
        scales, S = (SCALES[1::2], 2) if demo.smoke else (SCALES, 20)
        for name, (led, guide) in kinds.items():
            draw_grid(name, led, guide, scales, S, demo)
        draw_curves(kinds, scales, S, shown(to_signed(test["x"])), 20 if demo.smoke else 100, demo)


def train_judge(process, digits, steps, seed):
    """A classifier of noised digits."""
    judge = NoisyClassifier(process, (28, 28, 1), classes=10, rng=seed)
    loader = Loader(digits, 64, shuffle=True, seed=seed, drop_last=True, transform=on(x=to_signed))
    Trainer(judge, Adam(judge.parameters(), lr=schedules.cosine(2e-3, steps)), loader, seed=seed).run(steps)
    return judge.eval()


def draw_judge(judge, x, y, n, demo):
    """How often the classifier is right, for every t."""
    rng, x, y = mg.random.default_rng(demo.seed), mg.tensor(x[:n]), y[:n]
    times = [int(t) for t in np.linspace(1, judge.process.T, 11).round()]
    with mg.no_grad():
        read = [judge(judge.process.diffuse(x, t, rng.standard_normal(x.shape)), t).numpy() for t in times]
    right = [100 * np.mean(log_p.argmax(axis=1) == y) for log_p in read]
    demo.metric("judge_accuracy_first", right[0], "% of test digits at t = 1")
    demo.metric("judge_accuracy_middle", right[5], f"% of test digits at t = {times[5]}")
    mg.viz.curves({"classifier of noised digits": (times, right)}, demo.path("classifier_by_t.png"), xlabel="t",
                  ylabel="% of test digits read correctly", levels={"guessing": 10},
                  title="What is left of a digit at time t, in the eyes of the classifier")


def draw_grid(name, model, guide, scales, S, demo):
    """The same noise for each class, at growing scale."""
    z, labels = mg.random.default_rng(demo.seed + 1).standard_normal((10, *model.event_shape)), np.arange(10)
    rows = [DDIM(model, S).sample(10, z=z, labels=labels, guide=guide(scale)).numpy() for scale in scales]
    note = "s = 0 forgets the class" if name == "classifier" else "s = 0 forgets the class, s = 1 is the model itself"
    mg.viz.image_grid(shown(np.concatenate(rows)), demo.path(f"{name.replace('-', '_')}.png"), columns=10,
                      labels=[f"s = {scale:g}" for scale in scales], heads=[str(k) for k in labels],
                      title=f"{name.capitalize()} guidance with scale s, from the same noise in each column; {note}")


def draw_curves(kinds, scales, S, real, n, demo):
    """Accuracy, precision and recall of n samples a scale, a panel for each kind."""
    labels, figure = np.arange(n) % 10, Figure(figsize=(9.6, 3.8), layout="constrained")
    features, _ = mg.metrics.digit_features(real[np.linspace(0, len(real) - 1, n).astype(int)])
    for panel, (name, (model, guide)) in zip(figure.subplots(1, 2, sharey=True), kinds.items()):
        rows = [judged(model, guide(scale), labels, S, features, demo.seed)
                for scale in progress(scales, f"samples, {name}")]
        for what, values, colour in zip(("accuracy", "precision", "recall"), np.array(rows).T, PALETTE):
            panel.plot(scales, values, color=colour, marker="o", markersize=4, label=what)
            for scale, value in zip(scales, values):
                demo.metric(f"{what}_{name.replace('-', '_')}_{scale:g}", value, f"%, of {n} samples")
        panel.set(xlabel="guidance scale s", ylim=(0, 100), xticks=scales)
        panel.set_title(f"{name.capitalize()} guidance", fontsize=10, color=INK, loc="left")
        panel.spines[["top", "right"]].set_visible(False)
        panel.grid(color="#eeeeee")
    figure.axes[0].set_ylabel("%")
    figure.axes[0].legend(frameon=False, fontsize=9, loc="lower right")
    mg.viz.save(figure, demo.path("scale.png"))


def judged(model, guide, labels, S, real_features, seed):
    """% of samples read as their label, % of them among the data, % of the data among them."""
    rng = mg.random.default_rng(seed)
    x = [DDIM(model, S).sample(len(some), rng=rng, labels=some, guide=guide).numpy()
         for some in np.array_split(labels, max(1, len(labels) // 50))]
    features, logits = mg.metrics.digit_features(shown(np.concatenate(x)))
    accuracy = np.mean(logits.argmax(axis=1) == labels)
    return [100 * share for share in (accuracy, *mg.metrics.precision_recall(real_features, features))]


if __name__ == "__main__":
    main()
