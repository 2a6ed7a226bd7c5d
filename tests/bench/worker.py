"""One side of a comparison: ``worker.py LIBRARY WORKLOAD THREADS SETTINGS``.

Makes the workload with its settings (a JSON object), then reads questions as JSON lines and answers as JSON lines.
"""
import importlib
import json
import os
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


def load(library, threads):
    """Import a library and have it use so many threads."""
    if library == "jax" and hasattr(os, "sched_setaffinity"):        # it has as many as there are cores to see
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    module = importlib.import_module(library)
    if library == "torch":
        module.set_num_threads(threads)


def run(step, steps):
    """Mean milliseconds of a step. Where steps run on behind Python's back, ``step.finish()`` waits for the last."""
    start = time.perf_counter()
    for _ in range(steps):
        step()
    if hasattr(step, "finish"):
        step.finish()
    return (time.perf_counter() - start) * 1e3 / steps


def first_look(step, most=20, seconds=0.5):
    """Milliseconds of a step after warming up: the last half of 20 steps, or of what half a second allows."""
    begin, times = time.perf_counter(), []
    while len(times) < 4 or (len(times) < most and time.perf_counter() - begin < seconds):
        times.append(run(step, 1))
    times = times[len(times) // 2:]
    return sum(times) / len(times)


def answer(question, step, before):
    """What the other end wants to know."""
    if question.get("memory"):
        peak = resident("VmHWM")
        return {"mb": None if peak is None else peak - before}
    if question.get("profile"):
        from profiling import Profile
        with Profile() as profile:
            run(step, question["steps"])
        return profile.report(question["steps"])
    return {"ms": run(step, question["steps"])}


def main(library, workload, threads, settings):
    load(library, int(threads))                    # first: minigen sets NumPy up before it is loaded, as for a user
    before = resident("VmRSS")
    module = importlib.import_module(f"workloads.{workload}")
    step, parameters, loss = getattr(module, library)(**json.loads(settings))
    ready = {"ms": first_look(step), "ops": getattr(module, "OPS", 1), "parameters": parameters, "loss": loss,
             "levers": sys.modules[library].levers.report if library == "minigen" else {}}
    print(json.dumps(ready), flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line), step, before)), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
