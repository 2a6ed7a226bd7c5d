"""One side of a comparison: ``worker.py LIBRARY WORKLOAD THREADS``.

Reads questions as JSON lines, answers as JSON lines.
"""
import importlib
import json
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))


def resident(field):
    """A figure of /proc/self/status in MB (10⁶ bytes): VmRSS now, VmHWM the peak. None where there is no such file."""
    try:
        with open("/proc/self/status", encoding="ascii") as lines:
            return next(int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith(field))
    except OSError:
        return None


def run(step, steps, ops):
    """Mean milliseconds of a step, or of one op where a step makes ``ops`` of them."""
    start = time.perf_counter()
    for _ in range(steps):
        step()
    return (time.perf_counter() - start) * 1e3 / steps / ops


def main(library, workload, threads):
    module = importlib.import_module(f"workloads.{workload}")
    if library == "torch":
        torch = importlib.import_module("torch")
        torch.set_num_threads(int(threads))
    else:
        importlib.import_module("minigen")
    before = resident("VmRSS")
    step, parameters, loss = getattr(module, library)()
    ops = getattr(module, "OPS", 1)
    run(step, 5, ops)
    print(json.dumps({"ms": run(step, 10, ops), "ops": ops, "parameters": parameters, "loss": loss}), flush=True)
    for line in sys.stdin:
        question = json.loads(line)
        if question.get("memory"):
            peak = resident("VmHWM")
            print(json.dumps({"mb": None if peak is None else peak - before}), flush=True)
        else:
            print(json.dumps({"ms": run(step, question["steps"], ops)}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
