"""Time minigen beside PyTorch eager: same model, same numbers, same machine, in one run.

    python tests/bench/run.py                          # every workload, import times, geometric mean
    python tests/bench/run.py --only vae_mlp --json
    python tests/bench/run.py --only vae_mlp --jax     # beside JAX's jit too, where JAX is installed
    python tests/bench/run.py --profile --only unet28  # where minigen's time goes: per op, forward and backward
    python tests/bench/run.py --scaling --only batch   # how cost grows, with the fitted exponent

Each side runs in a process of its own, so that their thread pools do not disturb each other, and they take turns: A B A
B …. The figure is the median over turns of the mean milliseconds a step, the ratio that of the medians. Before anything
is timed the sides must agree: same number of parameters, same loss on the same batch and noise to 1e-4. Memory is the
growth of the process's peak resident memory over the one it had after importing its library, in MB (10⁶ bytes).
"""
import argparse
import json
import sys

import scaling
import tables
from sides import Side, compare, import_times, installed

WORKLOADS = ("tiny_ops", "vae_mlp", "dcgan28", "made784", "realnvp2d", "ebm_conv", "unet28", "rbm784")
WITH_JAX = ("vae_mlp",)


def comparison(options):
    """The rows of the workloads and of the import times, and the table with the geometric mean."""
    libraries = installed("torch", *(["jax"] if options.jax else []))
    if options.jax and "jax" not in libraries:
        raise SystemExit("bench: --jax needs JAX, which is not installed here: pip install jax")
    rows = []
    for name in options.only or WORKLOADS:
        if name != "import":
            there = [library for library in libraries if library != "jax" or name in WITH_JAX]
            rows.append(compare(name, there, options.threads, options.turns or 15, options.seconds or 6.0))
    text = [tables.comparison(rows, libraries)] if rows else []
    if not options.only or "import" in options.only:
        times = import_times(["minigen", "numpy", *libraries[1:]])
        rows.append({"workload": "import", **{f"{library}_ms": ms for library, ms in times.items()}})
        text.append(tables.imports(times))
    return rows, "\n\n".join(text)


def growth(options):
    """How cost grows along each series."""
    libraries = installed("torch")
    results = [scaling.measure(name, libraries, options.threads, options.turns or 5, options.seconds or 1.0)
               for name in options.only or scaling.SERIES]
    return results, "\n\n".join(scaling.table(result, libraries) for result in results)


def profiles(options):
    """Where minigen's time goes."""
    from profiling import table
    results, text = [], []
    for name in options.only or WORKLOADS:
        side = Side("minigen", name, options.threads)
        steps = max(1, int((options.seconds or 2.0) / side.ready["ms"] * 1e3))
        plain, report = side.ask(steps=steps)["ms"], side.ask(profile=True, steps=steps)
        side.close()
        results.append({"workload": name, "ms_without": plain, **report})
        text.append(table(f"{name}: {plain:.3f} ms a step, {report['ms']:.3f} ms under the clock", report))
    return results, "\n\n".join(text)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--profile", action="store_true", help="minigen's time per op instead of a comparison")
    what.add_argument("--scaling", action="store_true", help="how cost grows, instead of the workloads")
    what.add_argument("--jax", action="store_true", help="beside JAX's jit too, on " + ", ".join(WITH_JAX))
    parser.add_argument("--only", action="append", metavar="NAME",
                        help=f"only this one (repeatable): {', '.join(WORKLOADS)}, import; with --scaling: "
                        + ", ".join(scaling.SERIES))
    parser.add_argument("--json", action="store_true", help="print a list of objects instead of tables")
    parser.add_argument("--threads", type=int, default=2, help="threads for each side (default 2)")
    parser.add_argument("--turns", type=int, help="how often each side is timed (default 15; with --scaling 5)")
    parser.add_argument("--seconds", type=float,
                        help="measuring time for each side (default 6; with --scaling 1 a size, with --profile 2)")
    options = parser.parse_args(argv)
    known = tuple(scaling.SERIES) if options.scaling else WORKLOADS + (() if options.profile else ("import",))
    for name in options.only or ():
        if name not in known:
            parser.error(f"argument --only: {name!r} is none of {', '.join(known)}")
    result, text = (profiles if options.profile else growth if options.scaling else comparison)(options)
    print(json.dumps(result, indent=2) if options.json else text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
