"""A deep energy-based model of digits: a convolutional network whose output is an energy, and nothing else.

Trains it against Langevin chains from a replay buffer, and draws: the energies of data and chains while it learns,
digits in the buffer, chains from noise step by step, digits that were spoilt and slide back, and how well the energy
tells digits from what is none. The derivation is in minigen/models/energy/deep.py and docs/energy.md.
"""
import numpy as np
from matplotlib.figure import Figure

import minigen as mg
from minigen import data, nn
from minigen.demo import Demo
from minigen.metrics import auroc
from minigen.models.energy import DeepEBM
from minigen.training import Adam, Trainer, schedules
from minigen.viz import curves, image_grid
from minigen.viz.figure import FAINT, INK, PALETTE, finish

SHAPE, BATCH = (28, 28, 1), 64


def main():
    """Train, draw, judge."""
    with Demo("ebm_digits", __doc__) as demo:
        images = data.digits("train")["x"] if demo.data is None else data.mnist("train", root=demo.data)["x"]
        steps = 4 if demo.smoke else 1200
        model, history = train(mg.tensor(data.to_unit(images)), demo, steps)
        draw_training(history, demo.path("training.png"))
        draw_samples(model, demo, 4 if demo.smoke else 200)
        draw_chains(model, demo, (0, 1, 2, 4) if demo.smoke else (0, 3, 6, 10, 15, 20, 30, 50, 80, 120, 200, 400))
        test = data.to_unit(data.digits("test")["x"])
        draw_restored(model, test, demo, 3 if demo.smoke else 60)
        draw_strangers(model, test[:100] if demo.smoke else test[:1000], demo)


def network(rng):
    """(N, 28, 28, 1) → (N, 1): three convolutions with stride 2, SiLU, a linear layer."""
    return nn.Sequential(nn.Conv2d(1, 16, 4, stride=2, padding=1, rng=rng), mg.silu,                        # 14 × 14
                         nn.Conv2d(16, 32, 4, stride=2, padding=1, rng=rng), mg.silu,                       # 7 × 7
                         nn.Conv2d(32, 64, 3, stride=2, padding=1, rng=rng), mg.silu,                       # 4 × 4
                         lambda h: mg.reshape(h, (len(h), -1)), nn.Linear(1024, 1, rng=rng))


def train(pool, demo, steps):
    """(model, history): 20 Langevin steps for each update, of chains from a buffer of 2,000."""
    model = DeepEBM(network(mg.random.default_rng(demo.seed)), SHAPE, steps=2 if demo.smoke else 20, replay=2000,
                    data_noise=0.02, rng=demo.seed)
    optimizer = Adam(model.net.parameters(), lr=schedules.cosine(2e-3, steps, end=1e-4), betas=(0.0, 0.999))

    def batches(rng):
        return {"x": mg.take(pool, rng.integers(len(pool), size=(BATCH,)), axis=0)}

    trainer = Trainer(model, optimizer, batches, seed=demo.seed, log_every=max(1, steps // 60))
    trainer.run(steps)
    return model.eval(), trainer.history


# ---- pictures --------------------------------------------------------------------------------------------------------
def draw_training(history, path):
    """Mean energies of data and of chains, which should stay close."""
    step = np.array([line["step"] for line in history])
    curves({name: (step, [line[key] for line in history]) for name, key in (("data", "data"), ("chains", "model"))},
           path, ylabel="mean energy in nats",
           title="Energies of data and of the model's own draws: progress cannot be read here")


def draw_samples(model, demo, steps):
    """Chains of the buffer a little further on, and new ones from noise."""
    rng = mg.random.default_rng(demo.seed + 1)
    image_grid(model.sample(60, rng=rng), demo.path("samples.png"), columns=12, title="Chains from the replay buffer")
    image_grid(model.from_noise(60, steps, rng=rng), demo.path("from_noise.png"), columns=12,
               title=f"Chains from noise, {steps} steps")


def draw_chains(model, demo, at, n=8):
    """A few chains from noise, each a row, and their mean energy against the step."""
    states, rng = [], mg.random.default_rng(demo.seed + 2)
    model.from_noise(n, at[-1], rng=rng, keep=states)
    first = mg.random.default_rng(demo.seed + 2).uniform(0.0, 1.0, size=(n, *SHAPE))            # what it started with
    states = [first, *states]
    rows = np.stack([states[step].numpy() for step in at], axis=1)                                 # (n, steps, …)
    image_grid(rows.reshape(-1, *SHAPE), demo.path("chains.png"), columns=len(at), heads=[str(step) for step in at],
               title="From noise to digits: Langevin steps")
    with mg.no_grad():
        E = np.stack([model.energy(x).numpy() for x in states])
    curves({f"chain {k + 1}": E[:, k] for k in range(4)}, demo.path("chain_energy.png"), xlabel="Langevin step",
           ylabel="energy in nats", title="The chains go downhill")
    demo.metric("energy_of_noise", E[0].mean(), "nats")
    demo.metric("energy_of_chains", E[-1].mean(), f"nats, {at[-1]} steps later")


def draw_restored(model, test, demo, steps, n=14):
    """Test digits with noise, and with a piece cut out, and where Langevin steps take them."""
    rng = np.random.default_rng(demo.seed)
    x = test[:n]
    noisy = np.clip(x + 0.35 * rng.standard_normal(x.shape), 0, 1).astype(np.float32)
    cut = x.copy()
    cut[:, 12:18] = 0
    rows = [x]
    for spoilt in (noisy, cut):
        with mg.no_grad():
            rows += [spoilt, model.langevin(mg.tensor(spoilt), steps, rng=mg.random.default_rng(demo.seed)).numpy()]
    image_grid(np.concatenate(rows), demo.path("restored.png"), columns=n, title=f"Spoilt digits, {steps} steps on",
               labels=["digit", "noisy", "restored", "cut", "restored"])


def strangers(test, rng):
    """{name: images} of what is no digit, made of the test digits (N, 28, 28, 1)."""
    shuffled = test.reshape(len(test), -1)[:, rng.permutation(784)].reshape(test.shape)
    two = np.maximum(test, np.roll(test, 1, axis=0))
    halves = np.concatenate([test[:, :14], np.roll(test, 1, axis=0)[:, 14:]], axis=1)
    return {"noise": rng.random(test.shape).astype(np.float32), "pixels shuffled": shuffled, "inverted": 1 - test,
            "two digits": two, "halves of two": halves, "upside down": test[:, ::-1].copy()}


def draw_strangers(model, test, demo):
    """Histograms of the energy of digits and of strangers; AUROC: how often a stranger has more energy than a digit."""
    with mg.no_grad():
        energy = {name: model.energy(mg.tensor(np.ascontiguousarray(x))).numpy() for name, x in
                  {"digits": test, **strangers(test, np.random.default_rng(demo.seed))}.items()}
    shown = strangers(test[:12], np.random.default_rng(demo.seed))
    figure = Figure(figsize=(9, 4.4), layout="constrained")
    for panel, (name, images) in zip(figure.subplots(2, 3).flat, shown.items()):
        score, _ = auroc(energy["digits"], energy[name])
        demo.metric(f"auroc_{name.replace(' ', '_')}", score, "1 is perfect, ½ is chance")
        low = min(energy[name].min(), energy["digits"].min())
        bins = np.linspace(low, np.quantile(np.concatenate([energy[name], energy["digits"]]), 0.995), 50)
        panel.hist(energy["digits"], bins, color=PALETTE[0], alpha=0.7, density=True)
        panel.hist(energy[name], bins, color=PALETTE[3], alpha=0.7, density=True)
        panel.set_title(f"{name}: AUROC {score:.3f}", fontsize=9, color=INK, loc="left")
        panel.spines[["top", "right", "left"]].set_visible(False)
        panel.spines["bottom"].set_color(FAINT)
        panel.set_yticks([])
        panel.tick_params(labelsize=8, colors=INK, color=FAINT)
        panel.set_ylim(0, 1.7 * panel.get_ylim()[1])
        inset = panel.inset_axes([0.74, 0.62, 0.26, 0.38])
        inset.imshow(images[1, ..., 0], cmap="gray", vmin=0, vmax=1)
        inset.axis("off")
    figure.supxlabel("energy in nats: test digits blue, strangers orange", fontsize=9, color=INK)
    finish(figure, demo.path("strangers.png"))


if __name__ == "__main__":
    main()
