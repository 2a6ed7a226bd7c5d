"""The command line: ``minigen doctor | list | train | sample | evaluate | check``.

Every command takes ``--json``, which prints JSON and nothing else on stdout. Every failure is one clear line on stderr
and a non-zero status: 2 for a bad command line, 130 for Ctrl-C, 1 for anything else.
"""
import contextlib
import json
import os
import pathlib
import sys

import minigen as mg
from minigen.command import Parser, add_shared_options, at_least, failure, writable_folder, write_json
from minigen.doctor import examine


def main(argv=None):
    """Run a command, by default the one that this process was started with; returns the exit status."""
    options = build_parser().parse_args(argv)
    try:
        with mg.use(getattr(options, "backend", "numpy")):
            status = options.run(options) or 0
        sys.stdout.flush()
        return status
    except BrokenPipeError:                          # the reader of our output, such as head, has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (Exception, KeyboardInterrupt) as error:
        return failure(f"minigen {options.command}", error)


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
    sub = command("train", train, "Train a recipe. Run it again with the same folder to resume.")
    sub.add_argument("recipe", help="a name that `minigen list` shows")
    sub.add_argument("--out", required=True, type=pathlib.Path, help="folder for checkpoint, log and results")
    sub.add_argument("--steps", type=at_least(1), help="how many steps in all (default: the recipe's)")
    add_shared_options(sub)
    sub = command("sample", sample, "Draw samples of a trained model as a picture, samples.png in its folder.")
    sub.add_argument("out", type=pathlib.Path, help="the folder given to `minigen train`")
    sub.add_argument("-n", type=at_least(1), default=64, help="how many (default 64)")
    add_shared_options(sub)
    sub = command("evaluate", evaluate, "Measure a trained model on the test set; result.json in its folder.")
    sub.add_argument("out", type=pathlib.Path, help="the folder given to `minigen train`")
    add_shared_options(sub)
    sub = command("check", check, "Verify the classical identities, or your own claims; status 1 if one fails.")
    sub.add_argument("names", nargs="*", metavar="name", help="identities, or files of claims that end in .py "
                                                              "(default: all identities)")
    sub.add_argument("--list", action="store_true", help="only list them, with formula and source")
    sub.add_argument("--museum", action="store_true", help="show that the checks catch well-known mistakes; the names "
                                                           "are exhibits (default: all)")
    return parser


def tell(options, tree, text):
    """Print the result as JSON or as text."""
    print(json.dumps(tree, indent=2, allow_nan=False) if options.json else text)


# ---- recipes ---------------------------------------------------------------------------------------------------------
def list_recipes(options):
    """``minigen list``."""
    rows = [{"name": r.name, "summary": r.summary, "steps": r.steps,
             "targets": [{"metric": t.metric, "value": t.value, "unit": t.unit, "source": t.source} for t in r.targets]}
            for r in map(mg.recipes.get, mg.recipes.names())]
    lines = []
    for row in rows:
        lines.append(f"{row['name']:<12} {row['summary']} ({row['steps']:,} steps)")
        lines += [f"{'':<12}   published {t['metric']} {t['value']} {t['unit']} ({t['source']})"
                  for t in row["targets"]]
    tell(options, rows, "\n".join(lines))


def train(options):
    """``minigen train RECIPE --out DIR``."""
    recipe, out = mg.recipes.get(options.recipe), options.out
    steps = recipe.steps if options.steps is None else options.steps
    trainer = recipe.trainer(out, options.seed, options.data, existing="resume", progress=not options.json)
    begun = trainer.step
    if begun > steps:
        raise ValueError(f"{out} holds {begun} steps already, more than {steps}; ask for more with --steps, "
                         "or choose another --out")
    if 0 < begun < steps:
        print(f"minigen train: going on after step {begun} of {steps} in {out}", file=sys.stderr)
    try:
        last = trainer.run(steps)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"stopped at step {trainer.step} of {steps}; the same command goes on from what is "
                                f"saved in {out}") from None
    done = f"all {steps} steps were done already; train on with --steps" if begun == steps else f"{steps} steps done"
    tell(options, {**last, "recipe": recipe.name, "out": str(out), "step": steps, "new_steps": steps - begun},
         f"{recipe.name}: {done}\nsaved in {out}; next: minigen evaluate {out}; minigen sample {out}")


def sample(options):
    """``minigen sample DIR``."""
    run = mg.recipes.open_run(options.out)
    path = writable_folder(options.out) / "samples.png"
    samples = run.model.sample(options.n, rng=mg.random.default_rng(options.seed))
    run.recipe.draw(samples, path, title=f"{run.recipe.name}: {options.n} samples after {run.step:,} steps")
    tell(options, {"picture": str(path), "n": options.n}, f"{options.n} samples in {path}")


def evaluate(options):
    """``minigen evaluate DIR``."""
    run = mg.recipes.open_run(options.out)
    writable_folder(options.out)
    metrics = run.recipe.evaluate(run.model, options.data or run.folder, options.seed)
    result = {"name": run.recipe.name, "seed": run.seed, "seconds": run.seconds, "steps": run.step, "metrics": metrics}
    write_json(options.out / "result.json", result)
    published = {t.metric: f"   published {t.value}" for t in run.recipe.targets}
    lines = [f"{name:<18}{figure['value']:>11.3f} {figure['unit']}{published.get(name, '')}"
             for name, figure in metrics.items()]
    tell(options, result, "\n".join(lines))


# ---- the doctor ------------------------------------------------------------------------------------------------------
def doctor(options):
    """``minigen doctor``."""
    facts = examine()
    width = max(map(len, facts))
    tell(options, facts, "\n".join(f"{name:<{width}}  {value}" for name, value in facts.items()))


# ---- the tutor -------------------------------------------------------------------------------------------------------
def check(options):
    """``minigen check [NAME | FILE.py …]``: status 1 if an identity or a claim fails."""
    if options.museum:
        return show_museum(options)
    from minigen.check import claims, derivations        # here, since every other command does without them
    names = options.names or derivations.names()
    known = {name: derivations.get(name) for name in names if not name.endswith(".py")}       # a typo is found at once
    if options.list:
        rows = [{"name": d.name, "formula": d.formula, "source": d.source} for d in known.values()]
        return tell(options, rows, "\n".join(f"{d['name']}\n    {d['formula']}\n    {d['source']}" for d in rows))
    results = []
    with contextlib.redirect_stdout(sys.stderr if options.json else sys.stdout):              # a file may print
        for name in names if options.json else mg.recipes.progress(names, "checking"):
            results += [known[name].run()] if name in known else claims.run_file(name)
    tell(options, [result.as_dict() for result in results], claims.table(results))
    return int(any(result.verdict != "holds" for result in results))


def show_museum(options):
    """``minigen check --museum [NAME …]``: status 1 if a mistake is not caught, or a clean twin is accused."""
    from minigen import museum
    exhibits = [museum.get(name) for name in options.names or museum.names()]
    if options.list:
        rows = [{key: getattr(e, key) for key in ("name", "wrong", "plausible", "typical_of")} for e in exhibits]
        return tell(options, rows, "\n".join("\n    ".join(row.values()) for row in rows))
    outcomes = [e.run() for e in (exhibits if options.json else mg.recipes.progress(exhibits, "checking"))]
    tell(options, [outcome.as_dict() for outcome in outcomes], museum.table(outcomes))
    return int(not all(outcome.ok for outcome in outcomes))
