"""What ``minigen doctor`` finds out about the machine: everything that changes what minigen does, or how fast."""
import importlib.metadata
import importlib.util
import os
import platform

import numpy

import minigen as mg
from minigen import native


def examine():
    """Everything about this machine that changes what minigen does or how fast it is: {name: finding}."""
    facts = {"minigen": mg.__version__, "Python": f"{platform.python_version()} on {platform.platform()}",
             "NumPy": numpy.__version__, "BLAS": describe_blas(), **mg.levers.report,
             "C compiler": native.describe(), "CPU": describe_cpu(), "memory": describe_memory()}
    for name, package in (("SciPy", "scipy"), ("matplotlib", "matplotlib"), ("tqdm", "tqdm")):
        facts[name] = describe_package(package)
    facts["CuPy"], facts["GPU"] = describe_gpu()
    return facts


def describe_blas():
    """Name, version, kernel and threads of the BLAS that NumPy uses."""
    built = numpy.show_config(mode="dicts").get("Build Dependencies", {}).get("blas", {})
    text = f"{built.get('name', 'unknown')} {built.get('version', '')}".strip()
    blas = mg.threads.blas
    return text + (f", kernel {blas.kernel}, threads: {blas.threads()}" if blas else "")


def describe_cpu():
    """How many logical cores there are, and how many of them this process may use."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{os.cpu_count()} logical cores" + (f", {usable} for this process" if usable != os.cpu_count() else "")


def describe_memory():
    """Free and total memory of the host."""
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            kib = {line.split(":")[0]: int(line.split()[1]) for line in lines}
        return f"{kib['MemAvailable'] / 2**20:.1f} GiB free of {kib['MemTotal'] / 2**20:.1f} GiB"
    except (OSError, KeyError):
        return "unknown on this system"


def describe_package(name):
    """The version of an installed package, or what to do."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return f"not installed (pip install {name})"


def describe_gpu():
    """(CuPy, GPU): versions and free memory, or what is missing."""
    if importlib.util.find_spec("cupy") is None:
        return "not installed (pip install 'minigen[cuda12]' or 'minigen[cuda13]')", "not used"
    try:
        xp = mg.backend.get("cupy")
    except (mg.BackendError, ImportError) as error:
        return "installed, not usable", " ".join(str(error).split())
    free, total = xp.memory()
    name = xp.cuda.runtime.getDeviceProperties(0)["name"].decode()
    tf32 = "on (CUPY_TF32)" if xp.tf32 else "off (CUPY_TF32=1 turns it on)"
    return xp.module.__version__, f"{name}, {free / 2**30:.1f} GiB free of {total / 2**30:.1f} GiB, TF32 {tf32}"
