"""What a training run tells: the means of its loss terms, and a file with one JSON object per line."""
import json
import math
import os

from minigen import backend
from minigen.tensor import Tensor

FATAL = ("loss", "grad_norm")                       # a run stops when one of these is not finite
RESERVED = {"step", "epoch", "seconds", "lr"}       # keys of a line that no term may have


class Meter:
    """Means of scalar terms since they were last taken, read from the device only when `collect` is called."""

    def __init__(self):
        self._pending, self._sums = [], {}              # term -> [sum, count]

    def add(self, step, objective, lr, terms):
        """Note ``terms`` (name -> scalar Tensor or number) of one objective at one step, at learning rate ``lr``."""
        terms = {name: value._array if isinstance(value, Tensor) else float(value) for name, value in terms.items()}
        self._pending.append((step, objective, lr, terms))

    def collect(self):
        """Read what is pending, in one transfer, into the sums.

        Returns (step, objective, lr, {term: float}) of the first addition with a fatal term that is not finite, else
        None; nothing from there on is taken into the sums.
        """
        pending, self._pending = self._pending, []
        numbers = iter(_read([value for *_, terms in pending for value in terms.values()]))
        for step, objective, lr, terms in pending:
            terms = {name: next(numbers) for name in terms}
            if not all(math.isfinite(terms.get(name, 0.0)) for name in FATAL):
                return step, objective, lr, terms
            for name, value in terms.items():
                total = self._sums.setdefault(f"{objective}/{name}" if objective else name, [0.0, 0])
                total[0] += value
                total[1] += 1
        return None

    def take(self):
        """The mean of each term since the last `take`, to 12 digits: further ones are the rounding of the sum."""
        sums, self._sums = self._sums, {}
        return {name: float(f"{total / count:.12g}") for name, (total, count) in sums.items()}

    def state_dict(self):
        """The sums so far; `collect` first."""
        return self._sums

    def load_state_dict(self, saved):
        """Continue from `state_dict`."""
        self._pending, self._sums = [], {name: list(total) for name, total in saved.items()}


def _read(values):
    """Scalar arrays and numbers as Python floats, with at most one wait for a device."""
    arrays = [value for value in values if not isinstance(value, float)]
    xp = backend.of(arrays[0]) if arrays else None
    if xp is None or xp.name == "numpy":
        return [value if isinstance(value, float) else float(value.item()) for value in values]
    read = iter(xp.to_numpy(xp.stack([a.reshape(()).astype("float64") for a in arrays])).tolist())
    return [value if isinstance(value, float) else next(read) for value in values]


class Log:
    """A file of JSON lines that can go back to where a checkpoint was.

    Args:
        path: the file. start: its length in bytes when the checkpoint was written; what was appended later is cut
            off, since the steps it tells of will run again.

    Raises ValueError if the file is shorter than that.
    """

    def __init__(self, path, start=0):
        size = os.path.getsize(path) if os.path.exists(path) else None
        if size is not None and size < start:
            raise ValueError(f"{path}: the log is {size} bytes long and was {start} when the checkpoint was written; "
                             "restore it, or delete it to begin a new one")
        self._file = open(path, "ab")
        self._file.truncate(start if size else 0)
        self._file.seek(0, os.SEEK_END)

    def write(self, line):
        """Append one dict. What is not finite is written as null, as JSON asks."""
        def odd(value):
            return isinstance(value, float) and not math.isfinite(value)
        line = {key: None if odd(value) else value for key, value in line.items()}
        self._file.write(json.dumps(line).encode() + b"\n")
        self._file.flush()                              # in the hands of the system, where SIGKILL does not reach it

    def sync(self):
        """Bring everything to the disk, and return the length of the file in bytes."""
        os.fsync(self._file.fileno())
        return self._file.tell()

    def close(self):
        """Close the file."""
        self._file.close()


def read_log(path):
    """The lines of a log as a list of dicts. A last line that is still being written is left out."""
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.endswith("\n")]
