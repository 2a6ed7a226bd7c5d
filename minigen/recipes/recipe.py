"""What a recipe is: data, model, optimiser and steps under one name, and the published numbers to compare with."""
import dataclasses
import pathlib
from collections.abc import Callable

import minigen as mg
from minigen import data, viz
from minigen.training import Trainer, checkpoint
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
        build: rng -> model. optimizer: parameters -> Optimizer, or one for each objective, by its name.
        dataset: split, folder -> Dataset of examples "x" and, where there are any, labels "y".
        transform, test_transform: Loader transforms for training and for evaluation.
        evaluate_model: model, loader, rng -> {metric: (value, unit)}.
        targets: what others have published.
        draw: samples (n, *event), path, title=… -> a picture of them, for ``minigen sample``.
        training: more arguments for the Trainer, where validation by the objectives' terms says too little.
    """
    name: str
    summary: str
    build: Callable
    optimizer: Callable | dict
    dataset: Callable
    transform: Callable
    test_transform: Callable
    evaluate_model: Callable
    batch_size: int
    steps: int
    targets: tuple = ()
    draw: Callable = viz.image_grid
    training: dict = dataclasses.field(default_factory=dict)

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
            theirs = config_of(checkpoint.load(pathlib.Path(out) / CHECKPOINT), out)["recipe"]
            if theirs != self.name:
                raise ValueError(f"{out} holds a run of {theirs!r}, not of {self.name!r}; choose another folder")
        folder = folder and str(pathlib.Path(folder).resolve())
        config = {"recipe": self.name, "backend": mg.backend.current().name, "folder": folder}
        settings = {"validate": self.loader("test", folder), "validate_every": max(1, self.steps // 20),
                    **self.training, **settings}
        return Trainer(model, self.optimizer, self.loader("train", folder, seed), seed=seed, out=out, existing=existing,
                       config=config, **settings)

    def evaluate(self, model, folder=None, seed=0):
        """{metric: {"value", "unit"}} on the test set."""
        figures = self.evaluate_model(model, self.loader("test", folder), mg.random.default_rng(seed))
        return {name: {"value": value, "unit": unit} for name, (value, unit) in figures.items()}


def config_of(saved, out):
    """What `Recipe.trainer` noted in a checkpoint. Raises ValueError if something else wrote it."""
    config = saved.get("config") if isinstance(saved, dict) else None
    if not isinstance(config, dict) or "recipe" not in config:
        raise ValueError(f"the run in {out} was not made by a recipe, so the folder does not say which model it is")
    return config
