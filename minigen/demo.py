"""What all demo scripts share: the same options, an output folder, and a ``result.json``.

    with Demo("vae", __doc__) as demo:
        …
        mg.viz.image_grid(images, demo.path("samples.png"))
        demo.metric("test_elbo", -103.2, "nats")

On leaving the block the metrics are printed and written; a failure is one clear line and a non-zero status.
"""
import argparse
import contextlib
import math
import pathlib
import sys
import time

import minigen as mg
from minigen.command import Parser, add_shared_options, failure, writable_folder, write_json


class Demo:
    """One run of a demo, a context manager.

    Args:
        name: of the script. description: its docstring, shown by ``--help``.
        argv: arguments, by default those of the command line.
        recipe: name of the recipe whose model the demo shows; it adds the option ``--model``, and see `trained`.
        full: what the option ``--full`` does, where there is more to run than fits into a demo's three minutes.

    Attributes:
        smoke: whether only to show that all works (under 10 s). full: whether all of it is wanted.
        seed: of everything random. out: the folder, a Path.
        data: a folder of IDX files, or None.
    """

    def __init__(self, name, description, argv=None, recipe=None, full=None):
        parser = Parser(prog=f"{name}.py", description=description,
                        formatter_class=argparse.RawDescriptionHelpFormatter)
        parser.add_argument("--smoke", action="store_true", help="a short run that draws every picture, under 10 s")
        parser.add_argument("--out", type=pathlib.Path, help=f"folder for the pictures (default out/{name})")
        if recipe:
            parser.add_argument("--model", type=pathlib.Path, help="folder of a run of `minigen train`, whose model is "
                                                                   "shown instead of training one now")
        if full:
            parser.add_argument("--full", action="store_true", help=full)
        add_shared_options(parser)
        options = parser.parse_args(argv)
        self._recipe, self._run = recipe, options.model if recipe else None
        self.full = getattr(options, "full", False)
        self.name, self.smoke, self.seed, self.data = name, options.smoke, options.seed, options.data
        self.out, self._backend = options.out or pathlib.Path("out") / name, options.backend
        self.metrics, self._pictures, self._began = {}, [], time.perf_counter()

    def trained(self, smoke):
        """(model, history): trained now by the demo's recipe, averaged where it averages, or those of ``--model``.

        ``smoke`` is the Recipe that takes its place with ``--smoke``. Raises what `recipes.open_run` raises, and
        ValueError for a run of another kind of model.
        """
        recipe = smoke if self.smoke else mg.recipes.get(self._recipe)
        if self._run is None:
            trainer = recipe.trainer(seed=self.seed, folder=self.data, log_every=max(1, recipe.steps // 60),
                                     validate=None)
            trainer.run(recipe.steps)
            if trainer.ema:
                trainer.ema.settle()
            return trainer.model.eval(), trainer.history
        run, wanted = mg.recipes.open_run(self._run), recipe.build(mg.random.default_rng(0))
        if type(run.model) is not type(wanted):
            raise ValueError(f"--model {self._run} holds a {type(run.model).__name__} (recipe {run.recipe.name!r}); "
                             f"this demo shows a {type(wanted).__name__}, such as {recipe.name!r} trains")
        return run.model, mg.training.read_log(self._run / "log.jsonl")

    def path(self, name):
        """Where to write the picture of this name."""
        self._pictures.append(name)
        return self.out / name

    def metric(self, name, value, unit):
        """Keep a number for result.json. Raises ValueError if it is not finite."""
        if not math.isfinite(value):
            raise ValueError(f"the metric {name} is {float(value)}; the run has failed")
        self.metrics[name] = {"value": float(value), "unit": unit}

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            stack.push(self._explain)
            stack.enter_context(mg.use(self._backend))
            writable_folder(self.out)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, kind, error, trace):
        with self._stack:
            if error is not None:
                raise error
            self._tell()

    def _tell(self):
        """Write result.json and print what is in it."""
        seconds = round(time.perf_counter() - self._began, 2)
        result = {"name": self.name, "seed": self.seed, "seconds": seconds, "metrics": self.metrics}
        write_json(self.out / "result.json", result)
        for name, figure in self.metrics.items():
            print(f"{name:<20}{figure['value']:>12.4f} {figure['unit']}")
        print(f"{len(self._pictures)} pictures and result.json in {self.out}, after {seconds} s")

    def _explain(self, kind, error, trace):
        """The last to be told of an exception: one line, and out."""
        if isinstance(error, (Exception, KeyboardInterrupt)):
            sys.exit(failure(self.name, error))
