r"""The geometry of windows that slide over an image: which places of x, taps of a kernel and places of y meet.

Along each axis tap k of the window at place h of y lies at the place

    p = a + s h + d k                                                                                           (1)

of x, with a start a (minus the padding in front), a stride s and a dilation d. An `Axis` is that line with its lengths.
Convolution, its adjoints and pooling all stand on it. The functions below make one from what a user may write (an int,
pairs, ``"same"``), and refuse what cannot be.
"""
import math
import operator
from typing import NamedTuple


class Axis(NamedTuple):
    """Eq. (1) along one axis: the lengths X, K, Y of x, the kernel and y, and a, s, d."""
    X: int
    K: int
    Y: int
    start: int
    stride: int
    dilation: int

    @property
    def span(self):
        """How many places of x all windows reach over together."""
        return self.stride * (self.Y - 1) + self.reach

    @property
    def reach(self):
        """How many places of x one window reaches over."""
        return self.dilation * (self.K - 1) + 1

    @property
    def plain(self):
        """Whether y[h] meets x[h] and nothing else."""
        return self == (self.X, 1, self.X, 0, 1, self.dilation)

    def meet(self, k):
        """(slice of x, slice of y): the places that tap k brings together."""
        first = self.start + self.dilation * k
        low = max(0, -(first // self.stride))                                           # ⌈−first / s⌉
        high = max(low, min(self.Y, (self.X - 1 - first) // self.stride + 1))
        begin = first + self.stride * low
        return slice(begin, begin + self.stride * (high - low), self.stride), slice(low, high)

    @property
    def turned(self):
        """With stride 1, the Axis that leads from y back to x: h = p − a − d k is Eq. (1) with the taps in reverse."""
        return Axis(self.Y, self.K, self.X, -self.start - self.dilation * (self.K - 1), 1, self.dilation)


def taps(rows, cols):
    """Every tap (i, j) of a kernel, with the index of x and the index of y that it brings together."""
    for i in range(rows.K):
        for j in range(cols.K):
            (x_rows, y_rows), (x_cols, y_cols) = rows.meet(i), cols.meet(j)
            yield (i, j), (slice(None), x_rows, x_cols), (slice(None), y_rows, y_cols)


def overlap(start, length, X):
    """(slice of a buffer, slice of x) where the places start … start + length − 1 lie inside x."""
    low = min(max(0, -start), length)
    high = max(low, min(length, X - start))
    return slice(low, high), slice(start + low, start + high)


def phases(axis):
    """The way from y back to x in pieces of stride 1: (Axis, slice of the taps, p) for each of the first s places p.

    The taps k that meet p, and with it p + s, p + 2 s, …, are those where d k and p − a leave the same remainder when
    divided by s. By Eq. (1) they come g = s / gcd(s, d) apart, and each meets y d / gcd(s, d) places before the last.
    The Axis leads from y, in the place of x, to these p by these taps, the last of them first.
    """
    X, K, Y, a, s, d = axis
    apart = s // math.gcd(s, d)
    for p in range(min(s, X)):
        taps = [k for k in range(K) if (p - a - d * k) % s == 0]
        last, count = (taps[-1] if taps else 0), len(range(p, X, s))
        steps = slice(last, None, -apart) if taps else slice(0)
        yield Axis(Y, len(taps), count, (p - a - d * last) // s, 1, d // math.gcd(s, d)), steps, p


# ---- from what a user writes -----------------------------------------------------------------------------------------
def explicit(name, sizes, kernel, stride, padding, dilation):
    """(stride, padding, dilation) with one int, or one (before, after), for each axis. ValueError for anything else."""
    D = len(sizes)
    stride, dilation = per_axis(name, "stride", stride, D), per_axis(name, "dilation", dilation, D)
    if not isinstance(padding, str):
        return stride, _pairs(name, padding, D), dilation
    reaches = [d * (K - 1) + 1 for K, d in zip(kernel, dilation)]
    if padding == "valid":
        pairs = ((0, 0),) * D
    elif padding == "same":
        totals = [max(0, (-(-X // s) - 1) * s + reach - X) for X, s, reach in zip(sizes, stride, reaches)]
        pairs = tuple((total // 2, total - total // 2) for total in totals)
    elif padding == "causal" and D == 1:
        pairs = ((reaches[0] - 1, 0),)
    else:
        raise ValueError(f"{name}: padding={padding!r} is none of " + ("'valid', 'same'" + ", 'causal'" * (D == 1)))
    return stride, pairs, dilation


def per_axis(name, what, value, D, least=1):
    """One int for each of D axes, from an int or a sequence of them."""
    try:
        values = tuple(map(operator.index, value if isinstance(value, (tuple, list)) else (value,) * D))
    except TypeError:
        values = ()
    if len(values) != D or min(values) < least:
        each = f" or {D} of them" if D > 1 else ""
        raise ValueError(f"{name}: {what} must be an int ≥ {least}{each}, got {value!r}")
    return values


def _pairs(name, padding, D):
    """(before, after) for each of D axes. On one axis two ints are its pair; on two they are one for each."""
    per_side = isinstance(padding, (tuple, list)) and len(padding) == 2
    try:
        sides = ([padding] if D == 1 else padding) if per_side else (operator.index(padding),) * D
        pairs = tuple(tuple(map(operator.index, side if isinstance(side, (tuple, list)) else (side, side)))
                      for side in sides)
    except TypeError:
        pairs = ()
    if len(pairs) != D or any(len(pair) != 2 or min(pair) < 0 for pair in pairs):
        ways = "(before, after)" if D == 1 else "(of H, of W), ((top, bottom), (left, right))"
        raise ValueError(f"{name}: padding must be an int ≥ 0, {ways} or a word, got {padding!r}")
    return pairs


# ---- the axes of a convolution, and of its adjoint -------------------------------------------------------------------
LETTERS = {1: "T", 2: "HW"}


def axes_over(name, sizes, kernel, stride, padding, dilation=1):
    """One Axis for each dimension of an x of these sizes. Raises ValueError where the kernel does not fit."""
    stride, padding, dilation = explicit(name, sizes, kernel, stride, padding, dilation)
    axes = []
    for letter, X, K, s, (before, after), d in zip(LETTERS[len(sizes)], sizes, kernel, stride, padding, dilation):
        axis, room = Axis(X, K, 1, -before, s, d), before + X + after
        if K < 1 or axis.reach > room:
            raise ValueError(f"{name}: along {letter} a kernel of {K} taps with dilation {d} reaches over {axis.reach} "
                             f"places, but x has {X}, {room} with its padding; pad more, or use a smaller kernel (≥ 1 "
                             "tap)")
        axes.append(axis._replace(Y=(room - axis.reach) // s + 1))
    return axes


def axes_under(name, sizes, kernel, stride, padding, dilation, output_padding):
    """One Axis for each dimension of a y of these sizes, which a transposed convolution leads back to x.

    Raises ValueError where nothing is left of x, or ``output_padding`` is not less than the stride.
    """
    D = len(sizes)
    if padding == "causal":
        raise ValueError(f"{name}: padding 'causal' would look ahead here; pass (before, after)")
    same, strides = padding == "same", per_axis(name, "stride", stride, D)
    extra = per_axis(name, "output_padding", output_padding, D, least=0)
    if any(e >= s or e and same for e, s in zip(extra, strides)):
        raise ValueError(f"{name}: output_padding={output_padding!r} must be less than the stride {strides}, and 0 "
                         "with padding 'same', where the output is the input times the stride")
    full = [Y * s for Y, s in zip(sizes, strides)]
    strides, padding, dilation = explicit(name, full, kernel, strides, padding, dilation)
    axes = []
    for i, (K, Y, s, (before, after), d) in enumerate(zip(kernel, sizes, strides, padding, dilation)):
        axis = Axis(full[i], K, Y, -before, s, d)
        if not same:
            axis = axis._replace(X=axis.span - before - after + extra[i])
        if min(K, Y, axis.X) < 1:
            raise ValueError(f"{name}: along {LETTERS[D][i]} {Y} places and a kernel of {K} taps give {axis.X} places "
                             f"after the padding {(before, after)} is cut off; pad less, with a kernel and input ≥ 1")
        axes.append(axis)
    return axes
