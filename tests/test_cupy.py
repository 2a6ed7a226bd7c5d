"""CuPy absent, broken, without a GPU, and with one: what `mg.use` answers in each case. None of it needs CuPy."""
import importlib.machinery
import importlib.util
import sys
import types

import pytest

import minigen as mg
from minigen import backend as backends


class CUDARuntimeError(RuntimeError):
    """Stands for cupy.cuda.runtime.CUDARuntimeError."""


def _fake_cupy(count):
    """A module with what CupyBackend asks of CuPy; ``count()`` is the number of GPUs."""
    cupy = types.ModuleType("cupy")
    cupy.__version__ = "13.0"
    cupy.__spec__ = importlib.machinery.ModuleSpec("cupy", None)
    cupy.ndarray = type("ndarray", (), {})
    cupy.exp = lambda x: x
    runtime = types.SimpleNamespace(getDeviceCount=count, CUDARuntimeError=CUDARuntimeError, memGetInfo=lambda: (1, 2))
    cupy.cuda = types.SimpleNamespace(runtime=runtime)
    return cupy


@pytest.fixture
def clean(monkeypatch):
    """A register in which CuPy has not been loaded."""
    monkeypatch.setattr(backends, "_loaded", {"numpy": backends.get("numpy")})
    monkeypatch.setattr(backends, "BY_TYPE", dict(backends.BY_TYPE))
    return monkeypatch


def test_cupy_absent_says_what_to_install(clean):
    find = importlib.util.find_spec
    clean.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "cupy" else find(name, *rest))
    with pytest.raises(mg.BackendError, match=r"not installed: pip install 'minigen\[cuda12\]'.*mg.use\('numpy'\)"):
        mg.use("cupy")
    assert backends.current().name == "numpy"


def test_cupy_without_a_driver_says_so(clean):
    def count():
        raise CUDARuntimeError("cudaErrorInsufficientDriver: CUDA driver version is insufficient")
    clean.setitem(sys.modules, "cupy", _fake_cupy(count))
    with pytest.raises(mg.BackendError, match="CuPy 13.0 is installed but finds no usable GPU .*nvidia-smi"):
        mg.use("cupy")


def test_cupy_with_a_driver_but_no_gpu_says_so(clean):
    clean.setitem(sys.modules, "cupy", _fake_cupy(lambda: 0))
    with pytest.raises(mg.BackendError, match="CuPy 13.0 is installed but this machine has no GPU"):
        mg.use("cupy")


def test_cupy_that_cannot_be_imported_says_so(clean):
    def load(module):
        raise ImportError("libcudart.so.12: cannot open shared object file")

    loader = types.SimpleNamespace(create_module=lambda spec: None, exec_module=load)
    spec = importlib.machinery.ModuleSpec("cupy", loader)
    finder = types.SimpleNamespace(find_spec=lambda name, *rest: spec if name == "cupy" else None)
    clean.delitem(sys.modules, "cupy", raising=False)
    clean.setattr(sys, "meta_path", [finder, *sys.meta_path])
    with pytest.raises(mg.BackendError, match="CuPy is installed but cannot be imported.*libcudart.so.12"):
        mg.use("cupy")


def test_cupy_with_a_gpu_is_used(clean):
    cupy = _fake_cupy(lambda: 1)
    clean.setitem(sys.modules, "cupy", cupy)
    with mg.use("cupy") as xp:
        assert xp.name == "cupy" and xp.exp is cupy.exp and xp.memory() == (1, 2)
        assert backends.of(cupy.ndarray()) is xp


@pytest.mark.parametrize("value, tf32", [(None, False), ("0", False), ("1", True)])
def test_tf32_is_off_unless_the_environment_asks_for_it(clean, value, tf32):
    clean.setitem(sys.modules, "cupy", _fake_cupy(lambda: 1))
    clean.delenv("CUPY_TF32", raising=False)
    if value is not None:
        clean.setenv("CUPY_TF32", value)
    with mg.use("cupy") as xp:
        assert xp.tf32 is tf32
    assert mg.backend.get("numpy").tf32 is False


def test_tf32_changes_float32_products_alone_on_a_gpu():
    """Products of factors that 10 bits cannot hold: 1 + 2⁻¹² becomes 1 in TF32, and stays itself in float32."""
    cupy = pytest.importorskip("cupy")
    try:
        xp = backends.get("cupy")
    except mg.BackendError as error:
        pytest.skip(str(error))
    if xp.tf32 and int(cupy.cuda.Device().compute_capability) < 80:
        pytest.skip("a GPU without TF32")
    x = 1 + 2.0 ** -12
    got = {kind: float((cupy.full((64, 64), x, kind) @ cupy.eye(64, dtype=kind))[0, 0])
           for kind in ("float32", "float64")}
    assert got["float64"] == x and (got["float32"] == x) is not xp.tf32
