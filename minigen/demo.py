"""What all demo scripts share: the same options, an output folder, and a ``result.json``.

    with Demo("vae", __doc__) as demo:
        …
        mg.viz.image_grid(images, demo.path("samples.png"))
        demo.metric("test_elbo", -103.2, "nats")

On leaving the block the metrics are printed and written; a failure is one clear line and a non-zero status.
"""
import argparse
import json
import os
import pathlib
import sys
import time

import minigen as mg


class Demo:
    """A demo run.

    Attributes: smoke, whether only to show that all works (under 10 s); seed; out, a Path; data, a folder of IDX files or None.
    """

    def __init__(self, name, description, argv=None):
        parser = argparse.ArgumentParser(prog=f"demos/{name}.py", description=description,
                                         formatter_class=argparse.RawDescriptionHelpFormatter)
        parser.add_argument("--smoke", action="store_true", help="a short run that draws every picture, under 10 s")
        parser.add_argument("--seed", type=int, default=0, help="of everything random (default 0)")
        parser.add_argument("--out", type=pathlib.Path, help=f"folder for the pictures (default out/{name})")
        parser.add_argument("--backend", default="numpy", help="numpy or cupy (default numpy)")
        parser.add_argument("--data", help="a folder with full MNIST's IDX files (default: the bundled digits)")
        options = parser.parse_args(argv)
        self.name, self.smoke, self.seed, self.data = name, options.smoke, options.seed, options.data
        self.out = options.out or pathlib.Path("out") / name
        self.backend, self.metrics, self._began = options.backend, {}, time.perf_counter()

    def path(self, name):
        """Where to write a picture."""
        return self.out / name

    def metric(self, name, value, unit):
        """Keep a figure for result.json."""
        self.metrics[name] = {"value": float(value), "unit": unit}

    def __enter__(self):
        with explained(self.name):
            self._chosen = mg.use(self.backend)
            self._chosen.__enter__()
            self.out.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(self, kind, error, trace):
        self._chosen.__exit__(kind, error, trace)
        if kind is not None:
            return explained(self.name).__exit__(kind, error, trace)
        seconds = round(time.perf_counter() - self._began, 2)
        write_json(self.path("result.json"), {"name": self.name, "seed": self.seed, "seconds": seconds,
                                              "metrics": self.metrics})
        for name, figure in self.metrics.items():
            print(f"{name:<20}{figure['value']:>12.4f} {figure['unit']}")
        print(f"{len(list(self.out.glob('*.png')))} pictures in {self.out} after {seconds} s")


class explained:
    """Context manager: an expected failure becomes one line on stderr and a status, 130 for Ctrl-C, 1 otherwise."""

    def __init__(self, name):
        self.name = name

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if kind is not None and issubclass(kind, KeyboardInterrupt):
            print(f"{self.name}: {str(error) or 'stopped'}", file=sys.stderr)
            sys.exit(130)
        if kind is not None and issubclass(kind, (ValueError, TypeError, OSError, RuntimeError, ArithmeticError)):
            print(f"{self.name}: {' '.join(str(error).split())}", file=sys.stderr)
            sys.exit(1)
        return False


def write_json(path, tree):
    """Write JSON so that the file appears complete or not at all."""
    path = pathlib.Path(path)
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(tree, indent=2) + "\n", encoding="utf-8")
    os.replace(part, path)
