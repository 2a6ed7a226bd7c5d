"""Time minigen beside PyTorch eager: same model, same numbers, same machine, in one run.

    python tests/bench/run.py                       # every workload, as a table
    python tests/bench/run.py --only vae_mlp --json

Each side runs in a process of its own, so that their thread pools do not disturb each other, and they take turns: A B A
B …. The figure is the median over turns of the mean milliseconds a step, the ratio that of the medians. Before anything
is timed both sides must agree: same number of parameters, same loss on the same batch and noise to 1e-4. Memory is the
growth of the process's peak resident memory over the one it had after importing its library, in MB (10⁶ bytes).
"""
import argparse
import importlib.util
import json
import os
import pathlib
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
WORKLOADS = ("tiny_ops", "vae_mlp", "dcgan28", "made784", "realnvp2d", "ebm_conv", "unet28", "rbm784")


class Side:
    """One library's process: asked for steps, answers with milliseconds."""

    def __init__(self, library, workload, threads):
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "OPENBLAS_NUM_THREADS": str(threads),
                       "MKL_NUM_THREADS": str(threads)}
        self.process = subprocess.Popen([sys.executable, str(HERE / "worker.py"), library, workload, str(threads)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
        self.ready = self._answer()

    def _answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit("bench: a worker stopped; its message stands above")
        return json.loads(line)

    def ask(self, **question):
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        return self._answer()

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def compare(workload, threads, turns, seconds):
    """One row of the table."""
    sides = {"minigen": Side("minigen", workload, threads)}
    if importlib.util.find_spec("torch"):
        sides["torch"] = Side("torch", workload, threads)
    if len(sides) == 2:
        agree(workload, *(side.ready for side in sides.values()))
    step_seconds = {name: side.ready["ms"] * side.ready["ops"] / 1e3 for name, side in sides.items()}
    steps = {name: max(1, int(seconds / turns / step)) for name, step in step_seconds.items()}
    times = {name: [] for name in sides}
    for _ in range(turns):
        for name, side in sides.items():
            times[name].append(side.ask(steps=steps[name])["ms"])
    row = {"workload": workload}
    for name in ("minigen", "torch"):
        row[f"{name}_ms"] = statistics.median(times[name]) if name in sides else None
    row["ratio"] = row["minigen_ms"] / row["torch_ms"] if row["torch_ms"] else None
    for name in ("minigen", "torch"):
        row[f"{name}_mb"] = sides[name].ask(memory=True)["mb"] if name in sides else None
    for side in sides.values():
        side.close()
    return row


def agree(workload, a, b):
    """Both sides compute the same thing, or the comparison means nothing."""
    if a["parameters"] != b["parameters"] or abs(a["loss"] - b["loss"]) > 1e-4 * max(1.0, abs(b["loss"])):
        raise SystemExit(f"bench: {workload} differs: minigen has {a['parameters']} parameters and loss {a['loss']}, "
                         f"PyTorch {b['parameters']} and {b['loss']}")


def table(rows):
    """The rows as aligned text."""
    lines = [f"{'workload':<12}{'minigen ms':>12}{'PyTorch ms':>12}{'ratio':>8}{'minigen MB':>12}{'PyTorch MB':>12}"]
    for row in rows:
        cells = [row["minigen_ms"], row["torch_ms"], row["ratio"], row["minigen_mb"], row["torch_mb"]]
        text = ["–" if c is None else f"{c:.{digits}f}" for c, digits in zip(cells, (4, 4, 2, 1, 1))]
        lines.append(f"{row['workload']:<12}" + "".join(f"{t:>{w}}" for t, w in zip(text, (12, 12, 8, 12, 12))))
    return "\n".join(lines)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", action="append", choices=WORKLOADS, help="time only this workload (repeatable)")
    parser.add_argument("--json", action="store_true", help="print a list of objects instead of the table")
    parser.add_argument("--threads", type=int, default=2, help="threads for each side (default 2)")
    parser.add_argument("--turns", type=int, default=15, help="how often each side is timed (default 15)")
    parser.add_argument("--seconds", type=float, default=6.0, help="measuring time for each side (default 6)")
    options = parser.parse_args(argv)
    rows = [compare(name, options.threads, options.turns, options.seconds) for name in options.only or WORKLOADS]
    print(json.dumps(rows, indent=2) if options.json else table(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
