"""Where arrays live: choosing, finding, moving, and what libraries spell differently."""
import sys
import threading

import numpy as np
import pytest

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


def test_a_library_that_does_not_compile_leaves_it_to_the_caller(backend):
    xp = backends.get("strict" if backend == "numpy" else backend)
    if xp.name == "strict":
        x = xp.ones((100, 100), dtype="float32")
        assert xp.in_place(None, x) is False and xp.sums(x.dtype) is None
        assert xp.sum_middle(None, x) is None and xp.sum_last(None, x) is None
    backends.get("numpy").synchronize()
    assert backends.get("numpy").memory() is None


# ---- NumPy's own fast forms ------------------------------------------------------------------------------------------
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_numpy_where_and_maximum_equal_numpys_bit_for_bit(dtype):
    rng, xp = np.random.default_rng(0), mg.backend.get("numpy")
    x, y = (rng.standard_normal((80, 96)).astype(dtype) for _ in range(2))
    x[0, :4] = np.nan, np.inf, -np.inf, -0.0
    mask = rng.random((80, 96)) < 0.5
    cases = [(mask, x, y), (mask, x, 0), (mask, 0.5, y), (mask, 1, 2.5), (mask[:, ::2], x[:, ::2], 0), (mask, x, y[0]),
             (mask[0], x, y), (mask, x, y.astype("float16")), (mask.astype(int), x, y), (mask[:2], x[:2], 0),
             (True, x, y)]
    for case in cases:
        ours, theirs = xp.where(*case), np.where(*case)
        assert ours.dtype == theirs.dtype and ours.tobytes() == theirs.tobytes()
    for other in (0, 0.5, y, -1):
        ours, theirs = xp.maximum(x, other), np.maximum(x, other)
        assert ours.dtype == theirs.dtype and ours.tobytes() == theirs.tobytes()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_large_choice_is_that_of_numpy(dtype):
    numpy, rng = backends.get("numpy"), np.random.default_rng(1)
    x, y = rng.standard_normal((2, 521, 1031)).astype(dtype)
    for a, b in ((x, y), (x, 0.5), (-2, y)):
        out = numpy.where(x > y, a, b)
        assert out.dtype == dtype
        np.testing.assert_array_equal(out, np.where(x > y, a, b))


@pytest.mark.parametrize("shapes", [((5, 1), (1, 4)), ((3, 1, 1), (1, 1)), ((2, 3, 1), (2, 1, 4)), ((0, 1), (1, 3))])
def test_a_product_without_a_sum_is_that_of_numpy(shapes):
    numpy, rng = backends.get("numpy"), np.random.default_rng(2)
    a, b = (rng.standard_normal(shape).astype(np.float32) for shape in shapes)
    out = numpy.matmul(a, b)
    assert out.dtype == np.float32
    np.testing.assert_array_equal(out, np.matmul(a, b))
