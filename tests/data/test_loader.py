"""Loader: a pure function of (seed, epoch, batch), whatever is prefetched, and no thread outlives its loop."""
import gc
import json
import threading
import time

import numpy as np
import pytest

import minigen as mg
from minigen.data import Dataset, Loader, binarise, on

pytestmark = pytest.mark.usefixtures("backend")
N = 23


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    return Dataset({"x": rng.integers(0, 256, (N, 4, 4, 1), dtype=np.uint8), "y": np.arange(N)})


@pytest.fixture(autouse=True)
def no_thread_is_left():
    yield
    gc.collect()
    assert threads() == 0


def threads():
    return sum(thread.name == "minigen-loader" for thread in threading.enumerate())


def host(batches):
    return [{name: t.numpy() for name, t in batch.items()} for batch in batches]


def assert_same(batches, others):
    assert len(batches) == len(others)
    for batch, other in zip(batches, others):
        assert batch.keys() == other.keys()
        for name in batch:
            np.testing.assert_array_equal(batch[name], other[name])


def labels(batches):
    return [int(y) for batch in host(batches) for y in batch["y"]]


# ---- what a batch is -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("prefetch", [0, 1, 3])
def test_an_epoch_is_a_permutation(data, prefetch):
    loader = Loader(data, 5, prefetch=prefetch)
    batches = host(loader)
    assert len(loader) == 5 and [len(b["y"]) for b in batches] == [5, 5, 5, 5, 3]
    assert sorted(y for b in batches for y in b["y"]) == list(range(N))
    for batch in batches:
        np.testing.assert_array_equal(batch["x"], data["x"][batch["y"]])        # image and label stay together
        assert batch["x"].dtype == np.uint8 and batch["y"].dtype == np.int64


def test_batches_are_tensors_on_the_backend(data, backend):
    for batch in Loader(data, 5):
        assert isinstance(batch["x"], mg.Tensor) and batch["x"].backend.name == backend and not batch["x"].requires_grad


def test_drop_last(data):
    loader = Loader(data, 5, drop_last=True)
    assert len(loader) == 4 and [len(b["y"]) for b in loader] == [5] * 4
    assert len(Loader(data, N, drop_last=True)) == 1 and len(Loader(data[:20], 5)) == 4


def test_order(data):
    assert labels(Loader(data, 5, shuffle=False)) == list(range(N))
    loader = Loader(data, 5, seed=1)
    first, second = labels(loader), labels(loader)
    assert first != second and first != list(range(N))
    assert labels(Loader(data, 5, seed=1)) == first != labels(Loader(data, 5, seed=2))
    assert labels(loader.epoch(1)) == second and labels(loader.epoch(0)) == first


def test_memory_is_the_batchs_own(data, backend):
    kept = np.zeros((5, 2), np.float32)
    batch = next(iter(Loader(data, 5, transform=lambda batch, rng: {"x": kept})))
    with mg.no_grad():
        batch["x"][0] = 1.0
    assert (kept == 0).all()


def test_transform_is_reproducible_whatever_the_prefetch(data):
    runs = []
    for prefetch in (0, 1, 4):
        loader = Loader(data, 5, seed=3, transform=on(x=binarise), prefetch=prefetch)
        runs.append(host(loader) + host(loader))
    assert_same(runs[0], runs[1])
    assert_same(runs[0], runs[2])


def test_randomness_differs_between_batches_epochs_and_seeds(data):
    def draw(batch, rng):
        return {"u": rng.random(1)}

    loaders = [Loader(data, 5, seed=seed, transform=draw) for seed in (0, 1)]
    drawn = [float(batch["u"][0]) for loader in loaders for k in (0, 1) for batch in host(loader.epoch(k))]
    assert len(set(drawn)) == 20


# ---- resuming --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("seen", [0, 1, 4, 5, 7, 10])
def test_resumed_run_sees_what_the_uninterrupted_one_saw(data, seen):
    def make(prefetch):
        return Loader(data, 5, seed=4, transform=on(x=binarise), prefetch=prefetch)

    def run(loader, steps):
        batches = []
        while len(batches) < steps:
            for batch in loader:
                batches += host([batch])
                if len(batches) == steps:
                    break
        return batches

    whole = run(make(2), 12)
    before = make(2)
    assert_same(run(before, seen), whole[:seen])
    state = json.loads(json.dumps(before.state()))
    after = make(0)
    after.set_state(state)
    assert_same(run(after, 12 - seen), whole[seen:])


def test_state_counts_what_was_handed_out_not_what_was_prepared(data):
    loader = Loader(data, 5, prefetch=3)
    place = [loader.state()["epoch"], loader.state()["batch"]]
    assert place == [0, 0]
    for i, _ in enumerate(loader, 1):
        assert (loader.state()["epoch"], loader.state()["batch"]) == ((0, i) if i < 5 else (1, 0))
    list(loader.epoch(7))
    assert loader.state()["epoch"] == 1         # epoch() does not move it


def test_epoch_can_start_anywhere(data):
    loader = Loader(data, 5)
    whole = host(loader.epoch(2))
    assert_same(host(loader.epoch(2, start=3)), whole[3:])
    assert list(loader.epoch(2, start=5)) == []


def test_state_of_another_run_is_refused(data):
    state = Loader(data, 5, seed=1).state()
    for other, name in [(Loader(data, 5, seed=2), "seed"), (Loader(data, 4, seed=1), "batch_size"),
                        (Loader(data[:20], 5, seed=1), "examples"),
                        (Loader(data, 5, seed=1, shuffle=False), "shuffle")]:
        with pytest.raises(ValueError, match=f"saved with {name} = "):
            other.set_state(state)
    with pytest.raises(ValueError, match="names batch 5 of an epoch of 5"):
        Loader(data, 5, seed=1).set_state({**state, "batch": 5})


# ---- threads ---------------------------------------------------------------------------------------------------------
def test_thread_ends_with_the_loop(data):
    alive = [threads() for _ in Loader(data, 2)]
    assert alive[0] == 1 and max(alive) == 1 and threads() == 0


def test_breaking_out_stops_the_thread(data):
    for depth in (1, 2, 5):
        for batch in Loader(data, 2, prefetch=depth):
            break
        assert threads() == 0


def test_a_failing_consumer_stops_the_thread(data):
    def consume():
        for _ in Loader(data, 2):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        consume()
    gc.collect()
    assert threads() == 0


def test_a_dropped_iterator_stops_the_thread(data):
    iterator = iter(Loader(data, 2))
    next(iterator)
    assert threads() == 1
    del iterator
    gc.collect()
    assert threads() == 0


def test_an_iterator_that_was_never_asked_has_no_thread(data):
    iterator = Loader(data, 2).epoch(0)
    assert threads() == 0
    iterator.close()


@pytest.mark.parametrize("prefetch", [0, 1, 3])
def test_exceptions_reach_the_consumer_in_their_place(data, prefetch):
    calls = []

    def fail_at_third(batch, rng):
        calls.append(1)
        if len(calls) == 3:
            raise ZeroDivisionError("third batch")
        return batch

    seen = 0
    with pytest.raises(ZeroDivisionError, match="third batch"):
        for _ in Loader(data, 5, transform=fail_at_third, prefetch=prefetch):
            seen += 1
    assert seen == 2 and len(calls) == 3 and threads() == 0


def test_queue_is_bounded(data):
    calls = []
    iterator = Loader(data, 1, transform=lambda batch, rng: calls.append(1) or batch, prefetch=2).epoch(0)
    next(iterator)
    bound = 1 + 2 + 1           # handed out, waiting in the queue, waiting for the queue
    deadline = time.monotonic() + 10
    while len(calls) < bound and time.monotonic() < deadline:
        time.sleep(0.001)
    time.sleep(0.02)            # time to overrun, if it could
    iterator.close()
    assert len(calls) == bound


def test_two_loops_at_once(data):
    loader = Loader(data, 5)
    pairs = list(zip(loader.epoch(0), loader.epoch(0)))
    assert len(pairs) == 5
    assert_same(host(a for a, _ in pairs), host(b for _, b in pairs))


# ---- backends --------------------------------------------------------------------------------------------------------
def test_backend_is_that_of_the_maker(data, backend):
    with mg.use("strict"):
        loader = Loader(data, 5)
        named = Loader(data, 5, backend="numpy")
    assert next(iter(loader))["x"].backend.name == "strict"
    assert next(iter(named))["x"].backend.name == "numpy"


def test_transform_runs_in_the_callers_context(data):
    seen = set()

    def look(batch, rng):
        seen.add(mg.backend.current().name)
        return batch

    with mg.use("strict"):
        list(Loader(data, 5, transform=look))
    assert seen == {"strict"}


def test_unknown_backend(data):
    with pytest.raises(mg.BackendError, match="no backend is called 'nunpy'"):
        Loader(data, 5, backend="nunpy")


# ---- bad input -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("settings, kind, reason", [
    ({"batch_size": 0}, ValueError, "batch_size must be at least 1, got 0"),
    ({"batch_size": -3}, ValueError, "batch_size must be at least 1, got -3"),
    ({"batch_size": 24}, ValueError, "batch_size 24 is larger than the data set, which has 23 examples"),
    ({"batch_size": 2.5}, TypeError, "batch_size must be an integer, got 2.5"),
    ({"batch_size": 5, "prefetch": -1}, ValueError, "prefetch must be at least 0"),
    ({"batch_size": 5, "seed": -1}, ValueError, "seed must be at least 0"),
    ({"batch_size": 5, "seed": None}, TypeError, "seed must be an integer, got None"),
])
def test_bad_settings(data, settings, kind, reason):
    with pytest.raises(kind, match=reason):
        Loader(data, **settings)


def test_empty_data_set(data):
    with pytest.raises(ValueError, match="the data set is empty"):
        Loader(data[:0], 1)
    with pytest.raises(ValueError, match="one length"):
        Loader({"x": np.zeros(3), "y": np.zeros(2)}, 1)


def test_bad_epoch_fails_at_once(data):
    loader = Loader(data, 5)
    for k, start, reason in [(-1, 0, "epoch must be at least 0"), (0, -1, "start must be at least 0"),
                             (0, 6, "start 6 lies beyond the 5")]:
        with pytest.raises(ValueError, match=reason):
            loader.epoch(k, start)


def test_transform_must_return_a_dict(data):
    with pytest.raises(TypeError, match="transform must return a dict of arrays, got ndarray"):
        next(iter(Loader(data, 5, transform=lambda batch, rng: batch["x"])))
