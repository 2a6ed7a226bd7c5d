"""Where arrays live: choosing, moving, sharing, and what each state of CuPy on a machine answers."""
import importlib.machinery
import importlib.util
import sys
import threading
import types

import numpy as np
import pytest
import strict

import minigen as mg
from minigen import backend as backends


# ---- use -------------------------------------------------------------------------------------------------------------
def test_numpy_is_the_default():
    assert backends.current().name == "numpy"
    assert mg.tensor([1.0]).device == "cpu"


@pytest.fixture
def restore_default():
    yield
    mg.use("numpy")


def test_use_as_a_call_stays(restore_default):
    mg.use("strict")
    assert mg.tensor(1.0).backend.name == "strict"


def test_use_as_a_call_reaches_threads_started_later(restore_default):
    mg.use("strict")
    assert _in_thread(lambda: backends.current().name) == "strict"


def test_use_as_a_block_ends_and_gives_the_backend():
    with mg.use("strict") as xp:
        assert xp is backends.get("strict") and mg.tensor([1.0]).backend is xp
    assert backends.current().name == "numpy"


def test_blocks_nest():
    with mg.use("strict"):
        with mg.use("numpy"):
            assert backends.current().name == "numpy"
        assert backends.current().name == "strict"
    assert backends.current().name == "numpy"


def test_block_ends_after_an_exception():
    with pytest.raises(KeyError), mg.use("strict"):
        raise KeyError
    assert backends.current().name == "numpy"


def test_a_failed_use_changes_nothing():
    with mg.use("strict"):
        with pytest.raises(mg.BackendError):
            mg.use("nonsense")
        assert backends.current().name == "strict"


def _in_thread(function):
    results = []
    thread = threading.Thread(target=lambda: results.append(function()))
    thread.start()
    thread.join()
    return results[0]


def test_a_block_is_local_to_its_thread():
    with mg.use("strict"):
        assert _in_thread(lambda: backends.current().name) == "numpy"


def test_blocks_of_many_threads_do_not_disturb_each_other():
    wrong, before = [], sys.getswitchinterval()

    def work(name):
        for _ in range(300):
            with mg.use(name):
                if backends.current().name != name:
                    wrong.append(name)

    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=work, args=(name,)) for name in ["numpy", "strict"] * 4]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    assert not wrong
    assert backends.current().name == "numpy"               # the process is as it was


def test_interleaved_blocks_of_two_threads_leave_the_process_as_it_was():
    ours = mg.use("strict")                               # made …
    theirs = _in_thread(lambda: mg.use("numpy"))
    with ours:                                            # … and entered after another thread made its own
        theirs.__enter__()
    assert backends.current().name == "numpy"


def test_ops_follow_their_inputs_not_the_choice():
    x = mg.tensor([1.0, 2.0])
    with mg.use("strict"):
        assert (x + x).backend.name == "numpy"
        assert (x + 1.0).backend.name == "numpy"
        assert (x * [1.0, 2.0]).backend.name == "numpy"


# ---- the register ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("typo, meant", [("numpi", "numpy"), ("cuppy", "cupy"), ("Numpy", "numpy")])
def test_unknown_name_suggests_the_nearest(typo, meant):
    with pytest.raises(mg.BackendError, match=f"no backend is called '{typo}'; did you mean '{meant}'\\? Known: cupy"):
        mg.use(typo)


def test_unknown_name_without_a_near_one_lists_all():
    with pytest.raises(mg.BackendError, match="no backend is called 'xyzzy' Known: cupy, numpy, strict"):
        mg.use("xyzzy")


def test_names():
    assert backends.names() == ["cupy", "numpy", "strict"]


def test_register_makes_a_backend_once_at_its_first_use(monkeypatch):
    monkeypatch.setattr(backends, "_makers", dict(backends._makers))
    monkeypatch.setattr(backends, "_loaded", dict(backends._loaded))
    monkeypatch.setattr(backends, "BY_TYPE", dict(backends.BY_TYPE))
    made = []

    class Mine(np.ndarray):
        pass

    class MineBackend(backends.NumpyBackend):
        def __init__(self):
            super().__init__()
            self.name, self.array_type = "mine", Mine
            made.append(self)

    backends.register("mine", MineBackend)
    assert made == []
    assert backends.get("mine") is backends.get("mine") is made[0] and len(made) == 1
    assert backends.of(np.zeros(2).view(Mine)) is made[0]


@pytest.mark.parametrize("array", [np.zeros(2), np.float32(1), np.int64(1), np.bool_(True), np.array(1.0)])
def test_of_finds_numpy_by_type(array):
    assert backends.of(array).name == "numpy"


def test_of_finds_subclasses(tmp_path):
    mapped = np.memmap(tmp_path / "x.bin", dtype="float32", mode="w+", shape=(3,))
    assert backends.of(mapped).name == "numpy"
    np.testing.assert_array_equal((mg.tensor(mapped) + 1).numpy(), np.ones(3))


def test_of_finds_the_strict_backend_and_nothing_in_python_values():
    with mg.use("strict") as xp:
        assert backends.of(xp.zeros(2)) is xp
    assert [backends.of(value) for value in (1, 1.0, True, None, "a", [1.0], (1,), mg.tensor(1.0))] == [None] * 8


# ---- CuPy's three states ---------------------------------------------------------------------------------------------
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
        assert xp.name == "cupy" and xp.exp is cupy.exp and xp.fuses and xp.memory() == (1, 2)
        assert backends.of(cupy.ndarray()) is xp


# ---- moving ----------------------------------------------------------------------------------------------------------
def test_to_numpy_and_back(backend):
    xp, values = backends.get(backend), np.arange(6.0).reshape(2, 3)
    there = xp.from_numpy(values)
    assert type(there) is xp.array_type
    back = xp.to_numpy(there)
    assert type(back) is np.ndarray and back.dtype == values.dtype
    back[0, 0] = values[0, 1] = 99                                     # both ways are copies
    np.testing.assert_array_equal(xp.to_numpy(there), np.arange(6.0).reshape(2, 3))


def test_a_tensor_moves_between_backends():
    here = mg.tensor([1.0, 2.0])
    with mg.use("strict"):
        there = mg.tensor(here)
    assert there.backend.name == "strict"
    there[0] = 5.0
    np.testing.assert_array_equal(here.numpy(), [1, 2])
    np.testing.assert_array_equal(mg.tensor(there).numpy(), [5, 2])


def test_view_cannot_be_written_or_does_not_matter(backend):
    xp = backends.get(backend)
    array = xp.zeros(3)
    shown = xp.view(array)
    try:
        shown[0] = 1.0
    except ValueError:
        pass
    assert float(array[0]) == 0.0


# ---- what is spelled differently -------------------------------------------------------------------------------------
def test_scatter_add_adds_once_for_every_repetition(backend):
    xp = backends.get(backend)
    target = xp.zeros((3, 2))
    xp.scatter_add(target, xp.asarray([0, 2, 0, 0]), xp.ones((4, 2)))
    np.testing.assert_array_equal(xp.to_numpy(target), [[3, 3], [0, 0], [1, 1]])


def test_scatter_add_takes_several_indices_and_slices(backend):
    xp = backends.get(backend)
    target = xp.zeros((2, 3))
    xp.scatter_add(target, (xp.asarray([1, 1]), xp.asarray([2, 2])), xp.asarray([1.0, 10.0]))
    xp.scatter_add(target, (slice(None), 0), xp.asarray([5.0, 7.0]))
    np.testing.assert_array_equal(xp.to_numpy(target), [[5, 0, 0], [7, 0, 11]])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_special_functions(backend, dtype):
    special = pytest.importorskip("scipy.special")
    xp, x = backends.get(backend), np.array([0.3, 1.0, 2.5, 7.0], dtype)
    there = xp.asarray(x)
    for ours, theirs in [(xp.erf(there), special.erf(x)), (xp.lgamma(there), special.gammaln(x)),
                         *((xp.polygamma(n, there), special.polygamma(n, x)) for n in range(4))]:
        assert ours.dtype == dtype
        np.testing.assert_allclose(xp.to_numpy(ours), theirs, rtol=1e-5)


@pytest.mark.parametrize("lower", [True, False])
@pytest.mark.parametrize("trans", [True, False])
def test_solve_triangular(backend, lower, trans):
    xp, rng = backends.get(backend), np.random.default_rng(0)
    a = np.tril(rng.standard_normal((4, 4))) + 4 * np.eye(4)
    a, b = (a if lower else a.T.copy()), rng.standard_normal((4, 2))
    x = xp.to_numpy(xp.solve_triangular(xp.asarray(a), xp.asarray(b), lower, trans))
    np.testing.assert_allclose((a.T if trans else a) @ x, b, atol=1e-12)


def test_generator_gives_the_same_bits_for_the_same_seed(backend):
    xp = backends.get(backend)
    draws = [xp.to_numpy(xp.generator(seed).standard_normal((4,), dtype=np.float32)) for seed in (1, 1, 2)]
    np.testing.assert_array_equal(draws[0], draws[1])
    assert (draws[0] != draws[2]).any()


def test_fuse_of_a_library_without_a_compiler_is_the_function_itself():
    def double(x):
        return 2 * x
    assert backends.get("numpy").fuse(double) is double
    backends.get("numpy").synchronize()
    assert backends.get("numpy").memory() is None


# ---- the stand-in itself ---------------------------------------------------------------------------------------------
REFUSED = {
    "NumPy operand": lambda x: x + np.ones(3), "NumPy operand on the left": lambda x: np.ones(3) * x,
    "NumPy scalar": lambda x: x * np.float32(2), "NumPy scalar on the left": lambda x: np.float64(2) - x,
    "implicit conversion": np.asarray, "NumPy function": np.exp, "NumPy index": lambda x: x[np.array([0])],
    "NumPy argument": lambda x: strict.maximum(x, np.ones(3)), "list operand": lambda x: strict.add(x, [1, 2, 3]),
    "NumPy value": lambda x: x.__setitem__(0, np.float64(1)), "keyword": lambda x: strict.sum(x, initial=0.0),
    "hash": hash,
    "tuple of keys": lambda x: strict.lexsort((x, x)), "number for an array": lambda x: strict.sum(1.0),
    "array in a slice": lambda x: x[:strict.asarray(2)], "NumPy seed": lambda x: strict.random.default_rng(np.int64(3)),
}


@pytest.mark.parametrize("what", REFUSED)
def test_strict_refuses(what):
    with pytest.raises(TypeError):
        REFUSED[what](strict.asarray([1.0, 2.0, 3.0]))


@pytest.mark.parametrize("missing", [lambda x: strict.geomspace, lambda x: x.searchsorted_, lambda x: x.flags.writeable,
                                     lambda x: strict.random.default_rng(0).normal, lambda x: strict.linalg.eig_banded,
                                     lambda x: backends.get("strict").bitwise_not_there])
def test_strict_has_no_name_that_cupy_lacks(missing):
    with pytest.raises(AttributeError):
        missing(strict.asarray([1.0]))


def test_strict_gives_0d_arrays():
    x = strict.asarray([[1.0, 2.0], [3.0, 4.0]])
    for result in (x.sum(), strict.max(x), x[0, 1], x[0][1], strict.allclose(x, x), *strict.linalg.slogdet(x)):
        assert type(result) is strict.ndarray and result.shape == ()
    corner = x[1, 1]
    corner += 1.0                                                     # a view, as in CuPy
    assert x.tolist() == [[1.0, 2.0], [3.0, 5.0]]


def test_strict_keeps_python_numbers_weak():
    x = strict.asarray([1.0, 2.0], dtype="float32")
    for result in (x * 2.0, 1 - x, strict.maximum(x, 0.0), strict.where(x > 1, x, 0.0)):
        assert result.dtype == "float32"


@pytest.mark.parametrize("wait", [lambda x: x.item(), lambda x: x.get(), lambda x: x.tolist(), bool, int, float,
                                  lambda x: strict.flatnonzero(x), lambda x: x[x > 0], lambda x: f"{float(x):.2f}"])
def test_strict_counts_transfers(wait):
    x = strict.ones(())
    before = strict.transfers
    wait(x)
    assert strict.transfers == before + 1


def test_strict_counts_no_transfer_in_computing():
    before = strict.transfers, strict.uploads
    x = strict.ones((3, 4))
    strict.linalg.inv(strict.exp(x - x.mean(axis=0)) @ x.T + strict.eye(3))[1:].sum()
    assert (strict.transfers, strict.uploads) == before


# ---- sharing memory --------------------------------------------------------------------------------------------------
def test_dlpack_from_numpy_shares_memory():
    source = np.arange(3.0)
    t = mg.from_dlpack(source)
    source[0] = 7.0
    np.testing.assert_array_equal(t.numpy(), [7, 1, 2])
    assert t.dtype == np.float64 and t.is_leaf and not t.requires_grad


def test_dlpack_to_numpy_shares_memory():
    t = mg.tensor([1.0, 2.0])
    out = np.from_dlpack(t)
    t[0] = 9.0
    np.testing.assert_array_equal(out, [9, 2])


def test_dlpack_and_torch_both_ways():
    torch = pytest.importorskip("torch")
    theirs = torch.arange(4, dtype=torch.float32)
    ours = mg.from_dlpack(theirs)
    theirs[0] = 5
    np.testing.assert_array_equal(ours.numpy(), [5, 1, 2, 3])
    back = torch.from_dlpack(mg.tensor([[1.0, 2.0]]))
    assert back.shape == (1, 2) and back.dtype == torch.float32


def test_dlpack_of_a_tensor_that_requires_grad_is_refused():
    t = mg.tensor([1.0], requires_grad=True)
    with pytest.raises(BufferError, match=r"dlpack: this tensor \(1,\) requires grad; export t.detach\(\)"):
        np.from_dlpack(t)
    assert np.from_dlpack(t.detach()).shape == (1,)


@pytest.mark.parametrize("source", [[1.0, 2.0], 3.0, "abc", None])
def test_from_dlpack_refuses_what_is_no_array(source):
    with pytest.raises(TypeError, match=f"from_dlpack: cannot take {type(source).__name__}"):
        mg.from_dlpack(source)
