"""Recipes: named, reproducible runs. Each is data, model, optimiser and steps, and the published numbers to compare to.

    recipe = mg.recipes.get("vae")
    trainer = recipe.trainer(out="runs/vae", seed=0)
    trainer.run(recipe.steps)
    recipe.evaluate(trainer.model)        # {"test_elbo": {"value": …, "unit": "nats"}, …}
    mg.recipes.open_run("runs/vae")       # later: the recipe, the model, and how it was trained

The same seed gives the same bits on one CPU. ``minigen train NAME`` runs one from the command line; `docs/results.md`
keeps what was measured.
"""
import dataclasses
import difflib
import pathlib
import sys
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
        """A `minigen.training.Trainer` ready to run. It validates on the test set, by which nothing is chosen.

        Args:
            folder: of the data, where it is not the recipe's own. settings: more arguments for the Trainer.

        Raises ValueError if ``existing="resume"`` meets a run of another recipe, and what Trainer raises.
        """
        model = self.build(mg.random.default_rng(seed))
        if existing == "resume" and out is not None and (pathlib.Path(out) / CHECKPOINT).exists():
            theirs = _config(checkpoint.load(pathlib.Path(out) / CHECKPOINT), out)["recipe"]
            if theirs != self.name:
                raise ValueError(f"{out} holds a run of {theirs!r}, not of {self.name!r}; choose another folder")
        folder = folder and str(pathlib.Path(folder).resolve())
        config = {"recipe": self.name, "backend": mg.backend.current().name, "folder": folder}
        settings = {"validate": self.loader("test", folder), "validate_every": max(1, self.steps // 20), **settings}
        return Trainer(model, self.optimizer, self.loader("train", folder, seed), seed=seed, out=out, existing=existing,
                       config=config, **settings)

    def evaluate(self, model, folder=None, seed=0):
        """{metric: {"value", "unit"}} on the test set."""
        figures = self.evaluate_model(model, self.loader("test", folder), mg.random.default_rng(seed))
        return {name: {"value": value, "unit": unit} for name, (value, unit) in figures.items()}


@dataclasses.dataclass(frozen=True)
class Run:
    """What a folder holds: the recipe, the model as trained so far, and its seed, steps, seconds and folder of data."""
    recipe: Recipe
    model: mg.nn.Module
    seed: int
    step: int
    seconds: float
    folder: str | None


def open_run(out):
    """The `Run` in folder ``out``.

    Raises FileNotFoundError if there is none, `CheckpointError` if it is damaged, ValueError if no recipe made it.
    """
    path = pathlib.Path(out) / CHECKPOINT
    if not path.exists():
        what = f"has no {path.name}" if path.parent.is_dir() else "is no folder"
        raise FileNotFoundError(f"there is no run in {out}: it {what}; train one with minigen train vae --out {out}")
    saved = checkpoint.load(path)
    config = _config(saved, out)
    recipe = get(config["recipe"])
    model = recipe.build(mg.random.default_rng(saved["seed"]))
    model.load_state_dict(saved["model"])
    return Run(recipe, model.eval(), saved["seed"], saved["step"], saved["seconds"], config["folder"])


def _config(saved, out):
    """What `Recipe.trainer` noted in a checkpoint. Raises ValueError if something else wrote it."""
    config = saved.get("config") if isinstance(saved, dict) else None
    if not isinstance(config, dict) or "recipe" not in config:
        raise ValueError(f"the run in {out} was not made by a recipe, so the folder does not say which model it is")
    return config


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
    """Iterate with a progress bar on stderr that vanishes when done. In a log file it speaks every 10 s only."""
    from tqdm.auto import tqdm                          # here, since it takes a while to load
    live = sys.stderr.isatty() or "ipykernel" in sys.modules
    return tqdm(items, desc=what, leave=False, dynamic_ncols=True, mininterval=0.1 if live else 10)


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
        evaluate_model=evaluate_bounds(100), batch_size=128, steps=3000),
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
