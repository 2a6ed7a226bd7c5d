"""Libraries side by side, each in a process of its own, so that their thread pools do not disturb each other."""
import atexit
import importlib.util
import json
import os
import pathlib
import signal
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
NAMES = {"minigen": "minigen", "numpy": "NumPy", "torch": "PyTorch", "jax": "JAX"}


class Side:
    """One library's process: asked for steps, answers with milliseconds. ``ready`` is what it said first.

    Between its answers the process is stopped. Otherwise its threads would go on looking for work for a while (OpenMP's
    and OpenBLAS's do, up to 0.2 s) and take the cores from whoever's turn it is.
    """

    def __init__(self, library, workload, threads, settings=None):
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "OPENBLAS_NUM_THREADS": str(threads),
                       "MKL_NUM_THREADS": str(threads)}
        command = [sys.executable, str(HERE / "worker.py"), library, workload, str(threads), json.dumps(settings or {})]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        env=environment)
        atexit.register(self.process.kill)              # a stopped process would not see that we are gone
        self.ready = self._answer()

    def _answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit("bench: a worker ended; its message stands above")
        self._signal("SIGSTOP")
        return json.loads(line)

    def _signal(self, name):
        if hasattr(signal, name):                                # Windows has neither
            self.process.send_signal(getattr(signal, name))

    def ask(self, **question):
        """The answer to a question of `worker.answer`."""
        self._signal("SIGCONT")
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        return self._answer()

    def close(self):
        """End the process."""
        self._signal("SIGCONT")
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()
        atexit.unregister(self.process.kill)


def installed(*libraries):
    """minigen, and those of the libraries that can be imported."""
    return ["minigen", *(name for name in libraries if importlib.util.find_spec(name))]


def compare(workload, libraries, threads, turns, seconds, settings=None):
    """Time a step in every library, in turn: A B A B ….

    Returns {"workload", and for each library "…_ms", the median over the turns of the mean milliseconds a step, or an
    op where a step makes several that count; minigen's time over it, "ratio" for PyTorch, else "…_ratio"; "…_mb"}.
    """
    sides = {library: Side(library, workload, threads, settings) for library in libraries}
    for library, side in sides.items():
        agree(workload, sides["minigen"].ready, side.ready, NAMES[library])
    steps = {library: max(1, int(seconds / turns / side.ready["ms"] * 1e3)) for library, side in sides.items()}
    times = {library: [] for library in sides}
    for _ in range(turns):
        for library, side in sides.items():
            times[library].append(side.ask(steps=steps[library])["ms"] / side.ready["ops"])
    row = {"workload": workload}
    for library, side in sides.items():
        row[f"{library}_ms"] = statistics.median(times[library])
        if library != "minigen":
            row[ratio_key(library)] = row["minigen_ms"] / row[f"{library}_ms"]
        row[f"{library}_mb"] = side.ask(memory=True)["mb"]
        side.close()
    return row


def ratio_key(library):
    """What the ratio to a library is called in a row."""
    return "ratio" if library == "torch" else f"{library}_ratio"


def agree(workload, ours, theirs, name):
    """Both sides compute the same thing, or the comparison means nothing: SystemExit if they do not."""
    apart = abs(ours["loss"] - theirs["loss"])
    if ours["parameters"] != theirs["parameters"] or not apart <= 1e-4 * max(1.0, abs(theirs["loss"])):
        raise SystemExit(f"bench: {workload} differs: minigen has {ours['parameters']} parameters and loss "
                         f"{ours['loss']}, {name} {theirs['parameters']} and {theirs['loss']}")


def import_times(libraries, turns=7):
    """{library: median milliseconds of its import in a fresh Python}, the libraries in turn."""
    code = "import time; start = time.perf_counter(); import {}; print(time.perf_counter() - start)"
    times = {library: [] for library in libraries}
    for turn in range(turns + 1):
        for library in libraries:
            done = subprocess.run([sys.executable, "-c", code.format(library)], capture_output=True, text=True,
                                  check=True)
            if turn:                                            # the first one reads the files from the disk
                times[library].append(1e3 * float(done.stdout))
    return {library: statistics.median(found) for library, found in times.items()}
