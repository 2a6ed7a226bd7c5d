"""Conditional VAE: each digit on demand, in any hand.

Trains the conditional VAE of minigen/models/latent/cvae.py on the bundled digits, and a VAE of the same size beside it.
Pictures: each class on demand; the hand of one digit lent to all others; the latents of both models, which hold the
class only where nobody told it; the bound against the step; and, on a table of a few discrete variables where all can
be summed, the bound and its gap. The derivation is in docs/autoencoders.md.
"""
import numpy as np
from matplotlib.figure import Figure

import minigen as mg
from minigen.demo import Demo
from minigen.distributions import Table
from minigen.models.latent import VAE, ConditionalVAE
from minigen.recipes.sets import bundled_digits
from minigen.training import Adam, Trainer, schedules
from minigen.viz import curves, image_grid
from minigen.viz.figure import INK, PALETTE, finish, new_axes

SIZES = {"latents": 12, "hidden": (400,)}


def main():
    """Train both, draw, measure."""
    with Demo("cvae", __doc__) as demo:
        draw_gap(demo)
        train, test = (bundled_digits(split, demo.data) for split in ("train", "test"))
        steps = 40 if demo.smoke else 1800
        held = {"x": mg.tensor(bits(test["x"])), "y": mg.tensor(test["y"])}
        model, plain = ConditionalVAE(10, rng=demo.seed, **SIZES), VAE(rng=demo.seed, **SIZES)
        lines = {"given the digit, log p(x | y)": fit(model, train, held, steps, demo.seed),
                 "without it, log p(x)": fit(plain, train, held, steps, demo.seed)}
        curves(lines, demo.path("bounds.png"), log="x", ylabel="−ELBO, nats a test digit",
               title="Told the digit, the model is better; what the label tells is at most log 10 = 2.30 nats")
        for name, line in zip(("cvae", "vae"), lines.values()):
            demo.metric(f"elbo_{name}", -line[1][-1], "nats a test digit")
        draw_demand(model, demo)
        draw_hands(model, held, demo)
        draw_latents(model, plain, held, demo)
        classify(model, held, demo)


def bits(images):
    """Black and white, float32."""
    return (images > 127).astype(np.float32)


def fit(model, train, held, steps, seed):
    """Train; (steps, −ELBO on the test digits), one pair of arrays."""
    x, y, trace = mg.tensor(bits(train["x"])), mg.tensor(train["y"]), []

    def draw(rng):
        rows = rng.integers(len(x), size=(128,))
        return {"x": mg.take(x, rows, axis=0), "y": mg.take(y, rows, axis=0)}

    at = np.unique(np.geomspace(max(1, steps // 60), steps, 9).astype(int))
    trainer = Trainer(model, lambda p: Adam(p, lr=schedules.cosine(2e-3, steps)), draw, seed=seed, progress=False)
    objective, = model.objectives()
    for step in at:
        trainer.run(int(step))
        with mg.no_grad():
            trace.append(np.mean([objective.loss(held, mg.random.default_rng(s))["loss"].item() for s in range(3)]))
    model.eval()
    return at, np.array(trace)


# ---- where all can be summed -----------------------------------------------------------------------------------------
def draw_gap(demo):
    """On tables: log p(x|y), the bound, and its gap, as q goes from the prior p(z|y) to the posterior and past it."""
    rng = np.random.default_rng(demo.seed + 2)
    p = (Table(rng.dirichlet(np.ones(2)), "y") * Table(rng.dirichlet(np.ones(4) * 0.6, 2).T, "z", "y", conditions=1)
         * Table(rng.dirichlet(np.ones(3) * 0.4, (2, 4)).transpose(2, 1, 0), "x", "z", "y", conditions=2))
    x, y = 1, 0
    prior, likelihood, posterior = p.marginal("z", "y").given("y"), p.given("z", "y"), p.given("x", "y")
    p_z = np.array([prior.probability(z=z, y=y) for z in range(4)])
    p_x = np.array([likelihood.probability(x=x, z=z, y=y) for z in range(4)])
    best = np.array([posterior.probability(z=z, x=x, y=y) for z in range(4)])
    truth, at, bounds, gaps = np.log((p_z * p_x).sum()), np.linspace(0, 1.4, 141), [], []
    for t in at:                                                  # along the geometric mean of prior and posterior
        q = p_z ** (1 - t) * best ** t
        q /= q.sum()
        bounds.append((q * np.log(p_x)).sum() - (q * np.log(q / p_z)).sum())
        gaps.append((q * np.log(q / best)).sum())
    figure, axes = new_axes(6.4, 3.6, "q: 0 is the prior p(z | y), 1 the posterior p(z | x, y)", "nats",
                            "On a table: bound + gap = log p(x | y), and the gap closes at the posterior alone")
    axes.axhline(truth, color=INK, linewidth=1, linestyle="--", label="log p(x | y)")
    axes.plot(at, bounds, color=PALETTE[0], linewidth=1.8, label="bound")
    axes.fill_between(at, bounds, np.array(bounds) + gaps, color=PALETTE[1], alpha=0.35, linewidth=0,
                      label="KL(q ‖ p(z | x, y))")
    axes.legend(frameon=False, fontsize=9)
    finish(figure, demo.path("gap.png"))
    demo.metric("gap_identity", np.abs(np.array(bounds) + gaps - truth).max(), "nats, largest |bound + gap − log p|")


# ---- digits ----------------------------------------------------------------------------------------------------------
def draw_demand(model, demo, count=12):
    """Ten rows, one for each class, z from p(z|y)."""
    labels = mg.tensor(np.repeat(np.arange(10), count))
    image_grid(model.sample(10 * count, rng=demo.seed, labels=labels), demo.path("on_demand.png"), columns=count,
               labels=[str(k) for k in range(10)], title="Each class on demand")


def draw_hands(model, held, demo, count=9):
    """The first column is a test digit; beside it, all ten classes with its latents."""
    which = [int(np.flatnonzero(held["y"].numpy() == digit)[3]) for digit in (2, 7, 4, 0, 3, 5, 8, 1, 6)][:count]
    rows = []
    with mg.no_grad():
        for i in which:
            x, y = held["x"][i:i + 1], held["y"][i:i + 1]
            q, p = model.posterior(x, y), model.prior(y)
            eps = (q.mean - p.mean) * mg.exp(-p.log_std)                          # its place in its own class's prior
            every = mg.tensor(np.arange(10))
            prior = model.prior(every)
            rows += [x.numpy(), model.decode(prior.mean + mg.exp(prior.log_std) * eps, every).numpy()]
    image_grid(np.concatenate(rows), demo.path("hands.png"), columns=11, heads=["digit", *map(str, range(10))],
               title="One hand, all digits: the latents of the first image, under every label")


def draw_latents(model, plain, held, demo):
    """The principal plane of the latents, with and without a label, coloured by class."""
    x, y = held["x"], held["y"].numpy()
    with mg.no_grad():
        q, p = model.posterior(x, held["y"]), model.prior(held["y"])
        eps = (q.mean - p.mean) * mg.exp(-p.log_std)                              # where in its own class's prior
        parts = {"VAE: the classes are in z": plain.encode(x).numpy(),
                 "conditional VAE: z knows the hand only": eps.numpy()}
    figure = Figure(figsize=(9.2, 4.6), layout="constrained")
    for panel, (name, z) in zip(figure.subplots(1, 2), parts.items()):
        z = z - z.mean(axis=0)
        _, _, V = np.linalg.svd(z, full_matrices=False)
        panel.scatter(*(z @ V[:2].T).T, s=6, c=[PALETTE[k] for k in y], alpha=0.55, linewidths=0)
        panel.set(xticks=[], yticks=[])
        panel.spines[:].set_visible(False)
        share = np.mean([[z[y == k].mean(axis=0)[d] ** 2 for d in range(z.shape[1])] for k in range(10)], axis=0).sum()
        share /= z.var(axis=0).sum()
        panel.set_title(f"{name}\n{share:.0%} of the latents' variance is between classes", fontsize=10, color=INK)
        demo.metric(f"between_{name.split(':')[0].replace(' ', '_')}", 100 * share, "% of the variance of z is between "
                                                                                    "classes")
    finish(figure, demo.path("latents.png"))


def classify(model, held, demo):
    """The label of the largest bound, under equal priors."""
    n = 100 if demo.smoke else 1000
    guess = model.log_prob_of_labels(held["x"][:n], rng=demo.seed, samples=10).numpy().argmax(axis=1)
    wrong = 100 * float((guess != held["y"].numpy()[:n]).mean())
    demo.metric("wrong", wrong, f"% of {n} test digits: the label of the largest bound (10 draws) is another")


if __name__ == "__main__":
    main()
