"""Loader: a data set as shuffled batches of Tensors, prepared ahead by a thread.

Everything is a pure function of (seed, epoch, batch): the order of epoch k comes from a generator keyed (seed, k, 0),
and the randomness of its batch i from one keyed (seed, k, 1 + i). So it does not matter how many batches are
prefetched, nor what was drawn before, and a run that resumes in the middle of an epoch sees what the uninterrupted one
would have seen.
"""
import contextlib
import contextvars
import operator
import queue
import threading

import numpy as np

from minigen import backend as backends
from minigen.data.dataset import Dataset
from minigen.tensor import Tensor

END = object()          # marks the end of a prefetched sequence


class Loader:
    """Batches of a data set, as dicts of Tensors.

    ``for batch in loader`` runs to the end of the current epoch; the next loop runs through the next one. A loop that
    was broken off is continued by the next, and ``loader.state()`` tells the place. ``loader.epoch(k)`` is epoch k,
    wherever the loader stands.

    Args:
        dataset: a Dataset, or a dict of equally long host arrays.
        batch_size: N, examples per batch; the last batch of an epoch may be smaller.
        shuffle: a new order each epoch; else the data set's own.
        seed: non-negative integer, of the order and of the transform's randomness.
        drop_last: leave out a last batch that is smaller than N.
        transform: function (dict of arrays, NumPy Generator) -> dict of arrays, on the host; see `minigen.data.on`.
        prefetch: how many batches to prepare ahead in a thread; 0 prepares each when it is asked for.
        backend: name of the backend the Tensors live on; None: the current one (`minigen.use`), when the Loader is
            made.

    Raises ValueError for an empty data set, and for a size or count that cannot be; TypeError for one that is not an
    integer.
    """

    def __init__(self, dataset, batch_size, *, shuffle=True, seed=0, drop_last=False, transform=None,
                 prefetch=2, backend=None):
        self.dataset = dataset if isinstance(dataset, Dataset) else Dataset(dataset)
        if len(self.dataset) == 0:
            raise ValueError(f"Loader: the data set is empty: {self.dataset}")
        self.batch_size = _integer("batch_size", batch_size, 1)
        if self.batch_size > len(self.dataset):
            raise ValueError(f"Loader: batch_size {batch_size} is larger than the data set, "
                             f"which has {len(self.dataset)} examples")
        self.seed = _integer("seed", seed, 0)
        self.prefetch = _integer("prefetch", prefetch, 0)
        self.shuffle, self.drop_last, self.transform = shuffle, drop_last, transform
        self.backend = backends.get(backend) if backend else backends.current()
        self._place = (0, 0)        # epoch, batch: what the next loop begins with

    def __len__(self):
        """Batches in an epoch."""
        full, rest = divmod(len(self.dataset), self.batch_size)
        return full + bool(rest and not self.drop_last)

    def __iter__(self):
        k, start = self._place
        with contextlib.closing(self.epoch(k, start)) as batches:
            for i, batch in enumerate(batches, start + 1):
                self._place = (k, i) if i < len(self) else (k + 1, 0)
                yield batch

    def epoch(self, k, start=0):
        """Iterate over epoch ``k`` from its batch ``start`` on, without moving the loader's place."""
        k, start = _integer("epoch", k, 0), _integer("start", start, 0)
        if start > len(self):
            raise ValueError(f"Loader: start {start} lies beyond the {len(self)} batches of an epoch")
        batches = self._batches(k, start)
        return prefetched(batches, self.prefetch) if self.prefetch else batches

    def state(self):
        """Where the next loop begins, and what makes its batches, as a JSON-able dict."""
        epoch, batch = self._place
        return {"epoch": epoch, "batch": batch, **self._identity()}

    def set_state(self, state):
        """Return to a `state`. Raises ValueError if other settings made it, with which the batches would differ."""
        for name, ours in self._identity().items():
            if state[name] != ours:
                raise ValueError(f"Loader: the state was saved with {name} = {state[name]}, this loader has {ours}; "
                                 "the run would not continue as it began")
        k, i = _integer("epoch", state["epoch"], 0), _integer("batch", state["batch"], 0)
        if i >= len(self):
            raise ValueError(f"Loader: the state names batch {i} of an epoch of {len(self)}")
        self._place = (k, i)

    def _identity(self):
        return {"seed": self.seed, "examples": len(self.dataset), "batch_size": self.batch_size,
                "shuffle": bool(self.shuffle), "drop_last": bool(self.drop_last)}

    def _generator(self, *key):
        return np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=key))

    def _batches(self, k, start):
        examples = len(self.dataset)
        order = self._generator(k, 0).permutation(examples) if self.shuffle else np.arange(examples)
        for i in range(start, len(self)):
            rows = order[i * self.batch_size:(i + 1) * self.batch_size]
            batch = {name: array.take(rows, axis=0) for name, array in self.dataset.items()}
            if self.transform is not None:
                batch = self.transform(batch, self._generator(k, 1 + i))
                if not isinstance(batch, dict):
                    raise TypeError(f"Loader: transform must return a dict of arrays, got {type(batch).__name__}")
            yield {name: Tensor(self.backend.from_numpy(array)) for name, array in batch.items()}


def prefetched(items, depth):
    """Yield what ``items`` yields, computed up to ``depth`` ahead in a thread.

    The thread starts with the first item asked for, sees the caller's context variables, hands on any exception, and
    has ended when this generator has, whether it was exhausted, closed, or dropped.
    """
    ahead, stop = queue.Queue(depth), threading.Event()

    def work():
        try:
            for item in items:
                ahead.put((item, None))
                if stop.is_set():
                    return
            ahead.put((END, None))
        except BaseException as error:          # the consumer raises it
            ahead.put((END, error))

    thread = threading.Thread(target=contextvars.copy_context().run, args=(work,), name="minigen-loader", daemon=True)
    thread.start()
    try:
        while True:
            item, error = ahead.get()
            if error is not None:
                raise error
            if item is END:
                return
            yield item
    finally:
        stop.set()
        with contextlib.suppress(queue.Empty):      # make room for a put that waits; after it the thread sees stop
            while True:
                ahead.get_nowait()
        if thread is not threading.current_thread():        # the garbage collector may run this in the thread itself
            thread.join()


def _integer(name, value, least):
    """``value`` as an int of at least ``least``."""
    try:
        value = operator.index(value)
    except TypeError:
        raise TypeError(f"Loader: {name} must be an integer, got {value!r}") from None
    if value < least:
        raise ValueError(f"Loader: {name} must be at least {least}, got {value}")
    return value
