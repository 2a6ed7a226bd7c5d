"""The restricted Boltzmann machine: learning without log Z, and log Z by annealing.

First 3 × 3 bars and stripes, where everything can be summed: how contrastive divergence, persistent chains and the
exact gradient climb the same likelihood, and annealed importance sampling in both directions against the exact log Z.
Then digits: filters, chains from noise, fantasies, completion of what is hidden, and the likelihood by annealing. The
derivations are in minigen/models/energy/rbm.py and docs/energy.md.
"""
import dataclasses
import itertools

import numpy as np

import minigen as mg
from minigen import data
from minigen.demo import Demo
from minigen.models.energy import RBM
from minigen.recipes.energy import base_biases
from minigen.training import SGD, Trainer, schedules
from minigen.viz import curves, image_grid
from minigen.viz.figure import INK, PALETTE, finish, new_axes

SMOKE = dataclasses.replace(mg.recipes.get("rbm"), build=lambda rng: RBM((28, 28, 1), 16, persistent=20, rng=rng),
                            batch_size=20, steps=4, training={"validate": None})


def main():
    """Climb, anneal, train on digits, draw."""
    with Demo("rbm", __doc__, recipe="rbm") as demo:
        small = climb(demo, 60 if demo.smoke else 3000)
        walk(small, demo, 20 if demo.smoke else 200)
        model, _ = demo.trained(SMOKE)
        show_filters(model, demo.path("filters.png"))
        show_chains(model, demo, (0, 1, 4) if demo.smoke else (0, 1, 3, 10, 30, 100, 300, 1000))
        show_completions(model, demo, 3 if demo.smoke else 200)
        measure(model, demo, 10 if demo.smoke else 2000)


# ---- bars and stripes ------------------------------------------------------------------------------------------------
def bars_and_stripes():
    """The 14 images of 3 × 3 whose rows or whose columns are alike, Tensor (14, 9)."""
    rows = [np.tile(np.array(b)[:, None], (1, 3)) for b in itertools.product([0.0, 1.0], repeat=3)]
    images = np.unique([image.ravel() for r in rows for image in (r, r.T)], axis=0)
    return mg.tensor(images.astype(np.float32))


class Exact(RBM):
    """An RBM that climbs log p itself, with log Z summed."""

    def terms(self, x, *, rng):
        """{"loss"}: −log p, nats."""
        return {"loss": -mg.mean(self.log_prob(x))}


def climb(demo, steps):
    """Exact log-likelihood while five ways of learning go on; the model of CD-10 is returned."""
    x, lines = bars_and_stripes(), {}
    ways = {"exact gradient": (Exact(9, 8, rng=0), 0.2), "CD-1": (RBM(9, 8, k=1, rng=0), 0.2),
            "CD-10": (RBM(9, 8, k=10, rng=0), 0.2), "persistent": (RBM(9, 8, k=1, persistent=100, rng=0), 0.2),
            "persistent, slower": (RBM(9, 8, k=1, persistent=100, rng=0), 0.04)}
    for name, (model, lr) in ways.items():
        batch = x if name == "exact gradient" else mg.tile(x, (8, 1))
        optimizer = SGD(model.parameters(), lr=schedules.cosine(lr, steps), momentum=0.8)
        trainer = Trainer(model, optimizer, lambda rng, batch=batch: {"x": batch}, seed=demo.seed, progress=False)
        at, scores = np.unique(np.geomspace(10, steps, 40).astype(int)), []
        for step in at:
            trainer.run(int(step))
            with mg.no_grad():
                scores.append(mg.mean(model.log_prob(x)).item())
        lines[name] = (at, np.array(scores))
        demo.metric("bars_" + name.replace(", ", "_").replace(" ", "_").replace("-", ""), scores[-1], "nats, exact")
    curves(lines, demo.path("likelihood.png"), log="x", ylabel="exact mean log p in nats",
           levels={"the best possible, −log 14": -np.log(14)},
           title="Bars and stripes: CD-1 stops short; chains that persist must be given time to follow the model")
    return ways["CD-10"][0]


def walk(model, demo, chains):
    """log Z by annealing forth and back, against the exact one, by number of temperatures."""
    states = mg.tensor(np.array(list(itertools.product([0.0, 1.0], repeat=9)), np.float32))
    with mg.no_grad():
        exact, p = model.log_Z().item(), mg.exp(model.log_prob(states)).numpy().astype(float)
    x = mg.take(states, mg.tensor(np.random.default_rng(demo.seed).choice(512, chains, p=p / p.sum())), axis=0)
    counts = np.array([2, 4, 10, 30, 100, 300] if not demo.smoke else [2, 10])
    figure, axes = new_axes(6.4, 3.8, "temperatures", "estimate − exact log Z, in nats",
                            f"Annealing, {chains} chains, ±3 standard errors: forth errs low, back errs high")
    for k, (name, shift) in enumerate({"forth, from p₀ to the model": 0.95, "back, from the model": 1.05}.items()):
        found = [model.ais(chains, np.linspace(0, 1, n), rng=demo.seed) if k == 0 else
                 model.ais_back(x, np.linspace(0, 1, n), rng=demo.seed) for n in counts]
        value, error = np.array(found).T
        axes.errorbar(counts * shift, value - exact, 3 * error, color=PALETTE[k], fmt="o", markersize=4, capsize=3,
                      label=name)
    axes.axhline(0, color=INK, linewidth=1, linestyle="--")
    axes.set_xscale("log")
    axes.set_xticks(counts, [str(n) for n in counts])
    axes.minorticks_off()
    axes.legend(frameon=False, fontsize=9)
    finish(figure, demo.path("ais.png"))
    demo.metric("log_Z_off", value[-1] - exact, f"nats, annealed back by {counts[-1]} temperatures; exact {exact:.3f}")


# ---- digits ----------------------------------------------------------------------------------------------------------
def show_filters(model, path, n=100):
    """The columns of W of largest norm: what each hidden unit looks for, white for more ink, black for less."""
    W = model.weight.numpy()
    W = W[:, np.argsort(-np.linalg.norm(W, axis=0))[:n]].T
    image_grid((0.5 + 0.5 * W / np.abs(W).max(axis=1, keepdims=True)).reshape(-1, 28, 28), path,
               title=f"Filters: {len(W)} of {model.weight.shape[1]} columns of W, white wants ink, black wants none")


def probabilities(model, v, rng):
    """p(v′ = 1|h) of one more step from v (N, D): what is drawn instead of bits, on the host."""
    with mg.no_grad():
        h = rng.bernoulli(model.hidden_given(v), dtype=v.dtype)
        return model.visible_given(h).mean.numpy().reshape(-1, 28, 28)


def show_chains(model, demo, at, n=14):
    """Gibbs chains from noise after so many steps, and the chains that training kept."""
    rng, rows, done = mg.random.default_rng(demo.seed), [], 0
    v = rng.bernoulli(mg.full((n, 784), 0.5), dtype="float32")
    for steps in at:
        with mg.no_grad():
            v = model.gibbs(v, steps - done, rng=rng)
        done = steps
        rows.append(v.numpy().reshape(-1, 28, 28) if steps == 0 else probabilities(model, v, rng))
    image_grid(np.concatenate(rows), demo.path("chains.png"), columns=n, labels=[f"{s}" for s in at],
               title="Chains from noise after so many Gibbs steps (probabilities of the pixels)")
    fantasies = model.sample(60, rng=rng, steps=at[-1])
    image_grid(probabilities(model, mg.reshape(fantasies, (60, 784)), rng), demo.path("fantasies.png"), columns=12,
               title="Fantasies: " + ("the chains that training kept, " if model.persistent else "from noise, ")
                     + f"{at[-1]} steps on")


def show_completions(model, demo, steps, n=12):
    """Test digits whose lower half is hidden, and four ways in which the model fills it in."""
    x = data.binarise_once(data.digits("test")["x"][:n], seed=1) > 0
    x = mg.tensor(x.astype(np.float32))
    known = np.zeros((28, 28, 1), bool)
    known[:14] = True
    hidden = np.where(known, x.numpy(), 0.5)
    rows = [x.numpy(), hidden]
    for k in range(4):
        filled = model.complete(x, mg.tensor(known), rng=mg.random.default_rng(demo.seed + k), steps=steps)
        p = probabilities(model, mg.reshape(filled, (n, 784)), mg.random.default_rng(k))[..., None]
        rows.append(np.where(known, x.numpy(), p))
    image_grid(np.concatenate(rows), demo.path("completion.png"), columns=n,
               labels=["digit", "given", *["filled in"] * 4],
               title="The lower half by Gibbs steps, the upper half held")


def measure(model, demo, temperatures):
    """The likelihood of test digits by annealing forth and back."""
    x = mg.tensor((data.binarise_once(data.digits("test")["x"], seed=1) > 0).astype(np.float32))
    betas, base = np.linspace(0, 1, temperatures), base_biases()
    with mg.no_grad():
        F = mg.mean(model.energy(x)).item()
        settled = model.gibbs(mg.reshape(x[:100], (100, 784)), 2 if demo.smoke else 500, rng=mg.random.default_rng(0))
    (forth, error), (back, _) = model.ais(100, betas, base, rng=demo.seed), model.ais_back(settled, betas, base, rng=0)
    demo.metric("log_likelihood", -F - forth, f"nats per test digit, ± {3 * error:.2f} (3 standard errors)")
    demo.metric("log_likelihood_back", -F - back, "nats per test digit, by the walk back")


if __name__ == "__main__":
    main()
