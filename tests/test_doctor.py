"""What the doctor finds, and that it speaks plainly of what it cannot find."""
import importlib.metadata
import importlib.util
import sys
import types

import numpy as np
import pytest

import minigen as mg
from minigen import doctor


def test_every_fact_is_a_line_of_text():
    facts = doctor.examine()
    assert list(facts) == ["minigen", "Python", "NumPy", "BLAS", "BLAS kernel", "BLAS threads", "allocator",
                           "garbage collector", "C compiler", "CPU", "memory",
                           "SciPy", "matplotlib", "tqdm", "CuPy", "GPU"]
    assert all(isinstance(fact, str) and fact and "\n" not in fact for fact in facts.values())
    assert facts["minigen"] == mg.__version__ and facts["NumPy"] == np.__version__
    assert facts["SciPy"] == importlib.metadata.version("scipy") and "logical cores" in facts["CPU"]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_the_blas_in_use_is_asked():
    if "openblas" not in np.show_config(mode="dicts")["Build Dependencies"]["blas"]["name"]:
        pytest.skip("this NumPy is built on another BLAS")
    blas = mg.threads.blas
    assert blas.kernel.isidentifier() and blas.threads() >= 1
    assert f"kernel {blas.kernel}, threads: {blas.threads()}" in doctor.describe_blas()
    free, total = (float(part.split()[0]) for part in doctor.describe_memory().split(" free of "))
    assert 0 < free <= total


def test_a_system_without_proc(monkeypatch):
    def missing(*args, **settings):
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr("builtins.open", missing)
    assert mg.threads.find_blas() is None and doctor.describe_memory() == "unknown on this system"


def test_a_numpy_that_does_not_know_its_blas(monkeypatch):
    monkeypatch.setattr(np, "show_config", lambda mode: {})
    monkeypatch.setattr(mg.threads, "blas", None)
    assert doctor.describe_blas() == "unknown"


def test_a_package_that_is_not_installed():
    assert doctor.describe_package("no-such-package") == "not installed (pip install no-such-package)"


# ---- the three states of CuPy ----------------------------------------------------------------------------------------
def test_cupy_absent(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert doctor.describe_gpu() == ("not installed (pip install 'minigen[cuda12]' or 'minigen[cuda13]')", "not used")


def test_cupy_without_a_gpu(monkeypatch):
    def fail(name):
        raise mg.BackendError("backend 'cupy': CuPy 13.0 is installed\n but this machine has no GPU")

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(mg.backend, "get", fail)
    assert doctor.describe_gpu() == ("installed, not usable",
                                     "backend 'cupy': CuPy 13.0 is installed but this machine has no GPU")


@pytest.mark.parametrize("tf32, told", [(False, "off (CUPY_TF32=1 turns it on)"), (True, "on (CUPY_TF32)")])
def test_cupy_with_a_gpu(monkeypatch, tf32, told):
    device = types.SimpleNamespace(runtime=types.SimpleNamespace(getDeviceProperties=lambda i: {"name": b"A GPU"}))
    module = types.SimpleNamespace(__version__="13.4")
    cupy = types.SimpleNamespace(memory=lambda: (3 << 30, 8 << 30), cuda=device, module=module, tf32=tf32)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(mg.backend, "get", lambda name: cupy)
    assert doctor.describe_gpu() == ("13.4", f"A GPU, 3.0 GiB free of 8.0 GiB, TF32 {told}")
