"""The command line: ``minigen doctor | list | train | sample | evaluate | check``.

Every command takes ``--json``. Every failure is one clear line on stderr and a non-zero status.
"""
import argparse
import difflib
import json
import os
import pathlib
import sys

import minigen as mg
from minigen.demo import explained, write_json
from minigen.doctor import examine


class Parser(argparse.ArgumentParser):
    """argparse, with one-line errors that suggest the nearest command or option."""

    def error(self, message):
        near = ""
        if "invalid choice: " in message:
            wrong, _, known = message.partition("invalid choice: ")[2].partition(" (choose from ")
            match = difflib.get_close_matches(wrong.strip("'"), known.replace("'", "").rstrip(")").split(", "), 1)
            near = f"; did you mean {match[0]!r}?" if match else ""
        self.exit(2, f"{self.prog}: {message}{near}\n")


def main(argv=None):
    """Run a command; returns the exit status."""
    options = build_parser().parse_args(argv)
    with explained("minigen"), mg.use(getattr(options, "backend", "numpy")):
        try:
            return options.run(options) or 0
        except BrokenPipeError:                      # the reader of our output, such as head, has gone
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 1


def build_parser():
    """The parser of all commands."""
    parser = Parser(prog="minigen", description="Deep generative models from scratch: train, sample, evaluate, check.")
    parser.add_argument("--version", action="version", version=f"minigen {mg.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command", parser_class=Parser)

    def command(name, run, summary):
        sub = commands.add_parser(name, help=summary, description=summary)
        sub.add_argument("--json", action="store_true", help="print JSON")
        sub.set_defaults(run=run)
        return sub

    command("doctor", doctor, "What minigen found on this machine: libraries, BLAS, allocator, GPU, memory.")
    command("list", list_recipes, "The recipes, and the published figures they are compared with.")
    train_ = command("train", train, "Train a recipe. Run it again with the same folder to resume.")
    train_.add_argument("recipe", help="a name that `minigen list` shows")
    train_.add_argument("--out", required=True, type=pathlib.Path, help="folder for checkpoint, log and results")
    train_.add_argument("--steps", type=int, help="train this many steps instead of the recipe's")
    train_.add_argument("--seed", type=int, default=0, help="of everything random (default 0)")
    for name, run, summary in (("sample", sample, "Draw samples of a trained model as a picture."),
                               ("evaluate", evaluate, "Measure a trained model on the test set.")):
        sub = command(name, run, summary)
        sub.add_argument("out", type=pathlib.Path, help="the folder given to `minigen train`")
        sub.add_argument("--seed", type=int, default=0, help="of the draws (default 0)")
        if name == "sample":
            sub.add_argument("-n", type=int, default=64, help="how many (default 64)")
    for name in ("train", "sample", "evaluate"):
        commands.choices[name].add_argument("--backend", default="numpy", help="numpy or cupy (default numpy)")
        commands.choices[name].add_argument("--data", help="a folder with MNIST's IDX files")
    check_ = command("check", check, "Verify the classical identities: all of them, or those named.")
    check_.add_argument("names", nargs="*", help="which ones (default: all)")
    check_.add_argument("--list", action="store_true", help="only list them, with formula and source")
    return parser


def tell(options, tree, text):
    """Print the result as JSON or as text."""
    print(json.dumps(tree, indent=2) if options.json else text)


# ---- recipes ---------------------------------------------------------------------------------------------------------
def list_recipes(options):
    """``minigen list``."""
    rows = [{"name": r.name, "summary": r.summary, "steps": r.steps,
             "targets": [{"metric": t.metric, "value": t.value, "unit": t.unit, "source": t.source} for t in r.targets]}
            for r in map(mg.recipes.get, mg.recipes.names())]
    lines = []
    for row in rows:
        lines.append(f"{row['name']:<12} {row['summary']} ({row['steps']:,} steps)")
        lines += [f"{'':<12}   published {t['metric']} {t['value']} {t['unit']} ({t['source']})" for t in row["targets"]]
    tell(options, rows, "\n".join(lines))


def train(options):
    """``minigen train RECIPE --out DIR``."""
    recipe = mg.recipes.get(options.recipe)
    steps = recipe.steps if options.steps is None else options.steps
    trainer = recipe.trainer(options.out, options.seed, options.data, existing="resume", progress=not options.json)
    if trainer.step and trainer.config["recipe"] != recipe.name:
        raise ValueError(f"{options.out} holds a run of {trainer.config['recipe']!r}; choose another --out")
    last = trainer.run(steps)
    tell(options, {"out": str(options.out), **last},
         f"{recipe.name}: {last['step']} steps done, saved in {options.out}\n"
         f"next: minigen evaluate {options.out}; minigen sample {options.out}")


def sample(options):
    """``minigen sample DIR``."""
    recipe = mg.recipes.of_run(options.out)
    if options.n < 1:
        raise ValueError(f"sample: -n must be at least 1, got {options.n}")
    images = recipe.load(options.out).sample(options.n, rng=mg.random.default_rng(options.seed))
    path = options.out / "samples.png"
    mg.viz.image_grid(images, path, title=f"{recipe.name}: {options.n} samples")
    tell(options, {"picture": str(path), "n": options.n}, f"{options.n} samples in {path}")


def evaluate(options):
    """``minigen evaluate DIR``."""
    recipe = mg.recipes.of_run(options.out)
    metrics = recipe.evaluate(recipe.load(options.out), options.data, options.seed)
    published = {t.metric: t for t in recipe.targets}
    write_json(options.out / "result.json", {"name": recipe.name, "seed": options.seed, "metrics": metrics})
    lines = [f"{name:<18}{figure['value']:>11.3f} {figure['unit']}"
             + (f"   published {published[name].value}" if name in published else "") for name, figure in metrics.items()]
    tell(options, {"name": recipe.name, "metrics": metrics}, "\n".join(lines))


# ---- the doctor ------------------------------------------------------------------------------------------------------
def doctor(options):
    """``minigen doctor``."""
    facts = examine()
    width = max(map(len, facts))
    tell(options, facts, "\n".join(f"{name:<{width}}  {value}" for name, value in facts.items()))


# ---- the tutor -------------------------------------------------------------------------------------------------------
def check(options):
    """``minigen check [NAME …]``: status 1 if an identity fails."""
    raise NotImplementedError
