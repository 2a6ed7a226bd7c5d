"""Dataset: named host arrays of one length, the form in which every data set of this house comes."""
import numpy as np


class Dataset:
    """Arrays of equal length by name, such as ``{"x": images (N, 28, 28, 1), "y": labels (N,)}``.

    ``data["x"]`` is an array, ``data[:100]`` the Dataset of the first hundred examples (a view, nothing is copied),
    ``len(data)`` is N. The arrays stay on the host; `minigen.data.Loader` moves them to a device batch by batch.

    Raises ValueError if there is no array, or if one is 0-d, not numeric, or of another length.
    """

    def __init__(self, arrays):
        self._arrays = {name: np.asarray(array) for name, array in dict(arrays).items()}
        if not self._arrays:
            raise ValueError("Dataset: wants at least one array, got none")
        for name, array in self._arrays.items():
            if array.ndim == 0 or array.dtype.kind not in "biuf":
                raise ValueError(f"Dataset: {name!r} must be an array of numbers with examples along its first axis, "
                                 f"got shape {array.shape}, dtype {array.dtype}")
        lengths = {name: len(array) for name, array in self._arrays.items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"Dataset: all arrays must have one length, got {lengths}")

    def __len__(self):
        return len(next(iter(self._arrays.values())))

    def __getitem__(self, key):
        if isinstance(key, slice):
            return Dataset({name: array[key] for name, array in self.items()})
        if not isinstance(key, str):
            raise TypeError(f"Dataset: index it by a name or a slice, got {key!r}; for some examples use subset")
        if key not in self._arrays:
            raise KeyError(f"Dataset: no array is called {key!r}; it has {', '.join(self._arrays)}")
        return self._arrays[key]

    def __contains__(self, name):
        return name in self._arrays

    def keys(self):
        """The names; with them ``dict(data)`` works."""
        return self._arrays.keys()

    def items(self):
        """(name, array) pairs."""
        return self._arrays.items()

    def __repr__(self):
        facts = ", ".join(f"{name}: {array.shape} {array.dtype}" for name, array in self.items())
        return f"Dataset({facts})"

    def subset(self, indices):
        """The examples at ``indices`` (M,), integers or a boolean mask (N,), copied. Raises IndexError."""
        indices = np.asarray(indices)
        if indices.ndim != 1 or (indices.size and indices.dtype.kind not in "iub"):
            raise IndexError("subset: wants a 1-d array of integers or a mask, "
                             f"got shape {indices.shape}, dtype {indices.dtype}")
        if indices.dtype.kind == "b":
            if len(indices) != len(self):
                raise IndexError(f"subset: the mask has {len(indices)} entries for {len(self)} examples")
            indices = np.flatnonzero(indices)
        elif indices.size and not -len(self) <= indices.min() <= indices.max() < len(self):
            raise IndexError(f"subset: indices run from {indices.min()} to {indices.max()}, "
                             f"there are {len(self)} examples")
        return Dataset({name: array.take(indices.astype(np.intp), axis=0) for name, array in self.items()})

    def split(self, fraction, seed=0):
        """Two disjoint random parts: round(fraction · N) examples, and all others. Same seed, same parts.

        Raises ValueError if either part would be empty.
        """
        first = round(fraction * len(self))
        if not 0 < first < len(self):
            raise ValueError(f"split: a fraction of {fraction} cuts {len(self)} examples into {first} and "
                             f"{len(self) - first}; both parts must have some")
        order = np.random.default_rng(seed).permutation(len(self))
        return self.subset(order[:first]), self.subset(order[first:])
