"""An energy-based GAN of digits: the critic is an autoencoder, and the energy is what it fails to reconstruct.

Trains it with and without the term that pulls the codes of fakes apart, and draws: samples of both, energies of data
and fakes in training, what the autoencoder makes of digits, of fakes and of noise, and the way from one sample to
another. The derivation is in minigen/models/energy/ebgan.py and docs/energy.md.
"""
import numpy as np

import minigen as mg
from minigen import data
from minigen.demo import Demo
from minigen.models.energy import EBGAN
from minigen.training import Adam, Trainer, schedules
from minigen.viz import curves, image_grid, interpolation

MARGIN, BATCH, LATENTS = 0.05, 64, 32


def main():
    """Train twice, draw, measure."""
    with Demo("ebgan", __doc__) as demo:
        images = data.digits("train")["x"] if demo.data is None else data.mnist("train", root=demo.data)["x"]
        pool, test = mg.tensor(data.to_unit(images)), data.to_unit(data.digits("test")["x"])
        steps = 6 if demo.smoke else 5000
        (model, history), (plain, _) = (train(pool, demo, steps, pull) for pull in (0.1, 0.0))
        draw_samples(model, plain, demo)
        draw_energies(history, demo.path("energies.png"))
        draw_reconstructions(model, test, demo)
        z = mg.random.default_rng(demo.seed + 3).standard_normal((10, LATENTS)).numpy()
        interpolation(lambda z: model.generator(mg.tensor(z)).numpy(), z[:5], z[5:], demo.path("interpolation.png"),
                      title="From one draw of z to another")
        for name, trained in (("pull", model), ("no_pull", plain)):
            fake = trained.sample(100 if demo.smoke else 2000, rng=mg.random.default_rng(demo.seed + 1)).numpy()
            features = [mg.metrics.digit_features(x)[0] for x in (test[:len(fake)], fake)]
            demo.metric(f"digit_fid_{name}", mg.metrics.fid(*features), f"of {len(fake)} samples; less is better")


def train(pool, demo, steps, pull):
    """(model, history)."""
    model = EBGAN((28, 28, 1), LATENTS, 32, (256,), margin=MARGIN, pull=pull, rng=demo.seed)

    def batches(rng):
        return {"x": mg.take(pool, rng.integers(len(pool), size=(BATCH,)), axis=0)}

    trainer = Trainer(model, lambda p: Adam(p, lr=schedules.cosine(1e-3, steps, end=1e-4), betas=(0.5, 0.999)), batches,
                      seed=demo.seed, log_every=max(1, steps // 60))
    trainer.run(steps)
    return model.eval(), trainer.history


# ---- pictures --------------------------------------------------------------------------------------------------------
def draw_samples(model, plain, demo):
    """The same noise through both generators."""
    rows = [m.sample(36, rng=mg.random.default_rng(demo.seed + 2)) for m in (model, plain)]
    image_grid(np.concatenate([x.numpy() for x in rows]), demo.path("samples.png"), columns=12,
               labels=["pulled", "apart", "", "without", "", ""],
               title="G(z): with the pulling-away term, and without it")


def draw_energies(history, path):
    """Mean energies of data and of fakes."""
    step = np.array([line["step"] for line in history])
    curves({name: (step, [line[f"discriminator/{key}"] for line in history]) for name, key in
            (("data", "data"), ("fakes", "fake"))}, path, ylabel="mean energy, squared error of a pixel",
           levels={"margin": MARGIN}, title="Fakes are lifted over the margin, and there the critic leaves them alone")


def draw_reconstructions(model, test, demo, n=12):
    """What the autoencoder makes of digits, of fakes and of noise, with the mean energies."""
    noise = np.random.default_rng(demo.seed).random((n, 28, 28, 1)).astype(np.float32)
    rows, labels = [], []
    with mg.no_grad():
        fakes = model.sample(n, rng=mg.random.default_rng(demo.seed + 4)).numpy()
        for name, x in (("digits", test[:n]), ("fakes", fakes), ("noise", noise)):
            E = model.energy(mg.tensor(x)).numpy()
            rows += [x, model.autoencoder.reconstruct(mg.tensor(x)).numpy()]
            labels += [name, f"E {E.mean():.3f}"]
            demo.metric(f"energy_of_{name}", E.mean(), "squared error of a pixel")
    image_grid(np.concatenate(rows), demo.path("reconstructions.png"), columns=n, labels=labels,
               title="Each row above what the autoencoder makes of it, with the mean energy")


if __name__ == "__main__":
    main()
