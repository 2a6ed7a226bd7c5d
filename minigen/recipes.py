"""Recipes: named, reproducible runs. Each is data + model + optimiser + steps, and the published numbers to compare with.

    recipe = mg.recipes.get("vae")
    trainer = recipe.trainer(out="runs/vae", seed=0)
    trainer.run(recipe.steps)
    recipe.evaluate(trainer.model)        # {"test_elbo": {"value": …, "unit": "nats"}, …}

The same seed gives the same bits on one CPU. ``minigen train NAME`` runs one from the command line; `docs/results.md` keeps
what was measured.
"""
import dataclasses
import difflib
import pathlib
from collections.abc import Callable

import numpy as np

import minigen as mg
from minigen import data
from minigen.models.latent import VAE
from minigen.training import Adam, RMSprop, Trainer, checkpoint
from minigen.training.trainer import CHECKPOINT


@dataclasses.dataclass(frozen=True)
class Target:
    """A published figure: metric, value, unit, and where it was published."""
    metric: str
    value: float
    unit: str
    source: str


@dataclasses.dataclass(frozen=True)
class Recipe:
    """One run, by name.

    Attributes:
        build: rng -> model. optimizer: parameters -> Optimizer.
        dataset: split, folder -> Dataset of images "x" and labels "y".
        transform, test_transform: Loader transforms for training and for evaluation.
        evaluate_model: model, loader, rng -> {metric: (value, unit)}.
        targets: what others have published.
    """
    name: str
    summary: str
    build: Callable
    optimizer: Callable
    dataset: Callable
    transform: Callable
    test_transform: Callable
    evaluate_model: Callable
    batch_size: int
    steps: int
    targets: tuple = ()

    def loader(self, split="train", folder=None, seed=0):
        """Batches of the data: shuffled and transformed for training, in order and fixed for evaluation."""
        train = split == "train"
        return data.Loader(self.dataset(split, folder), self.batch_size, shuffle=train, seed=seed, drop_last=train,
                           transform=self.transform if train else self.test_transform)

    def trainer(self, out=None, seed=0, folder=None, existing="refuse", **settings):
        """A `minigen.training.Trainer` ready to run. It validates on the test set, by which nothing is chosen."""
        model = self.build(mg.random.default_rng(seed))
        test = self.loader("test", folder)
        config = {"recipe": self.name, "seed": seed, "backend": mg.backend.current().name}
        settings = {"validate": test, "validate_every": max(1, self.steps // 20), "save_every": 1000, **settings}
        return Trainer(model, self.optimizer, self.loader("train", folder, seed), seed=seed, out=out, existing=existing,
                       config=config, **settings)

    def load(self, out):
        """The trained model in folder ``out``. Raises as `open_run` does."""
        saved = open_run(out)
        model = self.build(mg.random.default_rng(saved["seed"]))
        model.load_state_dict(saved["model"])
        return model.eval()

    def evaluate(self, model, folder=None, seed=0):
        """{metric: {"value", "unit"}} on the test set."""
        figures = self.evaluate_model(model, self.loader("test", folder), mg.random.default_rng(seed))
        return {name: {"value": value, "unit": unit} for name, (value, unit) in figures.items()}


def open_run(out):
    """The checkpoint in folder ``out``. Raises FileNotFoundError if there is none, `CheckpointError` if it is damaged."""
    path = pathlib.Path(out) / CHECKPOINT
    if not path.exists():
        raise FileNotFoundError(f"{out} holds no run (there is no {path.name}); train one: minigen train vae --out {out}")
    return checkpoint.load(path)


def of_run(out):
    """The recipe that was trained in folder ``out``. Raises as `open_run` does, ValueError if no recipe trained it."""
    config = open_run(out).get("config") or {}
    if "recipe" not in config:
        raise ValueError(f"the run in {out} was not made by a recipe, so its model cannot be rebuilt from the folder alone")
    return get(config["recipe"])


def evaluate_bounds(samples):
    """An evaluation: the ELBO with one sample a test image, and the importance-weighted bound with ``samples``."""
    def evaluate(model, loader, rng):
        elbo, iwae, rate = [], [], []
        with mg.no_grad():
            for batch in progress(loader, "evaluating"):
                distortion, kl = model.terms(batch["x"], rng=rng)
                elbo.append((-distortion - kl).numpy())
                rate.append(kl.numpy())
                iwae.append(model.iwae(batch["x"], samples, rng=rng).numpy())
        return {"test_elbo": (_mean(elbo), "nats"), "test_rate": (_mean(rate), "nats"),
                f"test_iwae_{samples}": (_mean(iwae), "nats")}

    return evaluate


def _mean(parts):
    return float(np.concatenate(parts).mean(dtype=np.float64))


def progress(items, what):
    """Iterate with a progress bar that vanishes when done."""
    from tqdm.auto import tqdm
    return tqdm(items, desc=what, leave=False, dynamic_ncols=True)


# ---- data ------------------------------------------------------------------------------------------------------------
def bundled_digits(split, folder):
    """The digits in the package; full MNIST where a folder is given."""
    return data.digits(split) if folder is None else data.mnist(split, root=folder)


def fixed_mnist(split, folder):
    """Full MNIST, binarised once and for all: b ~ Bernoulli(pixel / 255), by one seed."""
    full = data.mnist(split, root=folder)
    return data.Dataset({"x": data.binarise_once(full["x"], seed={"train": 0, "test": 1}[split]), "y": full["y"]})


def fixed_digits(split, folder):
    """Training images in grey, test images binarised once and for all."""
    images = bundled_digits(split, folder)
    if split == "train":
        return images
    return data.Dataset({"x": data.binarise_once(images["x"], seed=1), "y": images["y"]})


# ---- the register ----------------------------------------------------------------------------------------------------
JAANLI = "jaanli/variational-autoencoder, MLP, 30,000 steps"
_ALL = (
    Recipe(
        name="vae", summary="MLP VAE, 20 latents, on the bundled digits, binarised afresh each time; about a minute",
        build=lambda rng: VAE(latents=20, hidden=(400,), rng=rng),
        optimizer=lambda parameters: Adam(parameters, lr=1e-3),
        dataset=fixed_digits, transform=data.on(x=data.binarise), test_transform=data.on(x=data.to_unit),
        evaluate_model=evaluate_bounds(100), batch_size=128, steps=4000),
    Recipe(
        name="vae-mnist", summary="MLP VAE 256-256, 128 latents, on full MNIST with one fixed binarisation",
        build=lambda rng: VAE(latents=128, hidden=(256, 256), rng=rng),
        optimizer=lambda parameters: RMSprop(parameters, lr=1e-3),
        dataset=fixed_mnist, transform=data.on(x=data.to_unit), test_transform=data.on(x=data.to_unit),
        evaluate_model=evaluate_bounds(1000), batch_size=128, steps=30_000,
        targets=(Target("test_elbo", -106.64, "nats", JAANLI), Target("test_iwae_1000", -100.31, "nats", JAANLI))),
)


def names():
    """The names of all recipes."""
    return [recipe.name for recipe in _ALL]


def get(name):
    """The recipe called ``name``. Raises ValueError, suggesting the nearest, if there is none."""
    for recipe in _ALL:
        if recipe.name == name:
            return recipe
    near = difflib.get_close_matches(str(name), names(), 1)
    raise ValueError(f"no recipe is called {name!r}" + (f"; did you mean {near[0]!r}?" if near else "")
                     + f" Known: {', '.join(names())}")
