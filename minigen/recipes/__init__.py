"""Recipes: named, reproducible runs. Each is data, model, optimiser and steps, and the published numbers to compare to.

    recipe = mg.recipes.get("vae")
    trainer = recipe.trainer(out="runs/vae", seed=0)
    trainer.run(recipe.steps)
    recipe.evaluate(trainer.model)        # {"test_elbo": {"value": …, "unit": "nats"}, …}
    mg.recipes.open_run("runs/vae")       # later: the recipe, the model, and how it was trained

The same seed gives the same bits on one CPU. ``minigen train NAME`` runs one from the command line; `docs/results.md`
keeps what was measured. One file for each family of models lists its recipes; this one is the register.
"""
import dataclasses
import difflib
import pathlib

import minigen as mg
from minigen.recipes import adversarial, autoregressive, diffusion, energy, flow, latent, metrics, pixel
from minigen.recipes.evaluation import evaluate_bounds, progress
from minigen.recipes.recipe import Recipe, Target, config_of
from minigen.training import checkpoint
from minigen.training.trainer import CHECKPOINT

__all__ = ["Recipe", "Run", "Target", "evaluate_bounds", "get", "names", "open_run", "progress"]
_ALL = (latent.RECIPES + metrics.RECIPES + adversarial.RECIPES + autoregressive.RECIPES + pixel.RECIPES + flow.RECIPES
        + energy.RECIPES + diffusion.RECIPES)


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
    """The `Run` in folder ``out``, with the average of the parameters where one was kept.

    Raises FileNotFoundError if there is none, `CheckpointError` if it is damaged, ValueError if no recipe made it.
    """
    path = pathlib.Path(out) / CHECKPOINT
    if not path.exists():
        what = f"has no {path.name}" if path.parent.is_dir() else "is no folder"
        raise FileNotFoundError(f"there is no run in {out}: it {what}; train one with minigen train vae --out {out}")
    saved = checkpoint.load(path)
    config = config_of(saved, out)
    recipe = get(config["recipe"])
    model = recipe.build(mg.random.default_rng(saved["seed"]))
    model.load_state_dict({**saved["model"], **(saved["ema"]["mean"] if saved["ema"] else {})})
    return Run(recipe, model.eval(), saved["seed"], saved["step"], saved["seconds"], config["folder"])
