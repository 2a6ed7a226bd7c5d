r"""Einstein summation: any product of arrays, summed over any of their indices, at any order of derivative.

    einsum("ij,jk->ik", a, b):    y_ik = Σ_j a_ij b_jk

An expression is taken apart into steps that are ops themselves. First every operand is *reduced* on its own: a repeated
index (``ii``) is a diagonal, an axis of length one that broadcasts is dropped, and an index that occurs nowhere else is
summed. Then the operands are multiplied two at a time. With A, B and R the indices of two and of their product,

    y_R = Σ a_A b_B,        ā_A = Σ ȳ_R b_B,        b̄_B = Σ ȳ_R a_A,                                               (1)

each sum over the indices on its right that are not on its left. After the reduction each index stands in at least two
of A, B and R, so the cotangents are products of the same kind: `_einsum_pair` is its own derivative. Each sum is done
by a matrix product.
"""
import functools
import itertools
import math

from minigen.ops.indices import lift
from minigen.ops.shape import diagonal, squeeze, transpose
from minigen.primitive import primitive

__all__ = ["einsum", "tensordot"]

_HIDDEN = "".join(chr(0x391 + k) for k in range(64))       # Greek names for the axes behind "...": they meet no letter


def einsum(subscripts, *operands):
    """The sum that ``subscripts`` describes, as in NumPy: ``einsum("nqd,nkd->nqk", queries, keys)``.

    Each operand has a term that names its axes by letters. Indices that are not in the output are summed; without
    ``->`` the output has, in alphabetical order, those that occur once. A letter that repeats in a term takes the
    diagonal; ``...`` stands for any number of axes, which broadcast. More than two operands are multiplied in pairs,
    the cheapest pair first. Raises ValueError for terms that do not fit the operands or each other, TypeError if the
    first argument is no string.
    """
    if not isinstance(subscripts, str):
        raise TypeError(f"einsum: wants subscripts such as 'ij,jk->ik' first, got {type(subscripts).__name__}")
    operands = list(lift(*operands))
    terms, output = _parse(subscripts, tuple(x.ndim for x in operands))
    terms = list(terms)
    sizes = _sizes(subscripts, terms, [x.shape for x in operands])
    for k, term in enumerate(terms):
        operands[k], terms[k] = _drop(*_take_diagonals(operands[k], term), sizes)
    for k, term in enumerate(terms):
        operands[k], terms[k] = _sum_alone(operands[k], term, {*output}.union(*terms[:k], *terms[k + 1:]))
    while len(operands) > 1:
        i, j = _best_pair(terms, output, sizes)
        result = _result_term(terms, i, j, output)
        y = _einsum_pair(operands[i], operands[j], (terms[i], terms[j], result))
        operands = [x for k, x in enumerate(operands) if k not in (i, j)] + [y]
        terms = [term for k, term in enumerate(terms) if k not in (i, j)] + [result]
    return transpose(operands[0], tuple(terms[0].index(letter) for letter in output))


def tensordot(a, b, axes=2):
    """The sum over products of a and b along some axes of each, as in NumPy.

    ``axes=n`` sums over the last n axes of a and the first n of b; ``axes=((i, …), (j, …))`` over axis i of a with axis
    j of b. The result has the other axes of a, then those of b. Raises ValueError if the axes do not pair or their
    lengths differ.
    """
    a, b = lift(a, b)
    pairs = (range(a.ndim - axes, a.ndim), range(axes)) if isinstance(axes, int) else axes
    a_axes, b_axes = ([k % x.ndim for k in ([ks] if isinstance(ks, int) else ks)] for ks, x in zip(pairs, (a, b)))
    if [a.shape[i] for i in a_axes] != [b.shape[j] for j in b_axes]:
        raise ValueError(f"tensordot: the axes to sum over differ in length; got {a.shape} and {b.shape}, axes={axes}")
    a_term, b_term = _HIDDEN[:a.ndim], list(_HIDDEN[a.ndim:a.ndim + b.ndim])
    for i, j in zip(a_axes, b_axes):
        b_term[j] = a_term[i]
    output = "".join(letter for letter in (*a_term, *b_term) if (letter in a_term) != (letter in b_term))
    return _einsum_pair(a, b, (a_term, "".join(b_term), output))


# ---- reading the subscripts ------------------------------------------------------------------------------------------
@functools.lru_cache(maxsize=1024)
def _parse(subscripts, ndims):
    """(terms, output), with a letter for each axis. Raises ValueError for what does not fit operands of these ndims."""
    left, arrow, output = subscripts.replace(" ", "").partition("->")
    given = left.split(",")
    if len(given) != len(ndims):
        raise ValueError(f"einsum: {subscripts!r} speaks of {len(given)} operands, got {len(ndims)}")
    terms = tuple(_expand(subscripts, term, ndim) for term, ndim in zip(given, ndims))
    used = "".join(terms)
    hidden = "".join(letter for letter in _HIDDEN if letter in used)
    if not arrow:
        return terms, hidden + "".join(sorted(c for c in set(used) - set(hidden) if used.count(c) == 1))
    output = output.replace("...", hidden, 1)
    stray = [c for c in output if output.count(c) > 1 or c not in used]
    if stray:
        raise ValueError(f"einsum: {subscripts!r}: the output has {stray[0]!r}, which must be an index, and there once")
    if not set(hidden) <= set(output):
        raise ValueError(f"einsum: {subscripts!r}: the axes behind '...' must appear in the output, as '...'")
    return terms, output


def _expand(subscripts, term, ndim):
    """A term with a letter for every axis of its operand: the axes behind ``...`` are named from the right."""
    named = term.replace("...", "", 1)
    if not (named == "" or named.isascii() and named.isalpha()):
        raise ValueError(f"einsum: {subscripts!r}: the term {term!r} may hold letters and one '...'")
    extra = ndim - len(named)
    if extra < 0 or extra > 0 and named == term:
        raise ValueError(f"einsum: {subscripts!r}: the term {term!r} names {len(named)} axes, its operand has {ndim}")
    return term.replace("...", _HIDDEN[len(_HIDDEN) - extra:])


def _sizes(subscripts, terms, shapes):
    """The length of every index: what its axes agree on, where a length of one broadcasts."""
    sizes = {}
    for term, shape in zip(terms, shapes):
        for letter, n in zip(term, shape):
            known = sizes.setdefault(letter, n)
            if known == 1:
                sizes[letter] = n
            elif n not in (1, known):
                name = "an axis behind '...'" if letter in _HIDDEN else f"index {letter!r}"
                raise ValueError(f"einsum: {subscripts!r}: {name} has lengths {known} and {n}; got operands of shapes "
                                 f"{', '.join(map(str, shapes))}")
    return sizes


# ---- reducing an operand on its own ----------------------------------------------------------------------------------
def _take_diagonals(x, term):
    """Give every letter one axis: of those that repeat, take the diagonal."""
    for letter in sorted(set(term)):
        while term.count(letter) > 1:
            p = term.index(letter)
            q = term.index(letter, p + 1)
            if x.shape[p] != x.shape[q]:
                raise ValueError(f"einsum: the diagonal over {letter!r} has lengths {x.shape[p]} and {x.shape[q]}")
            x, term = diagonal(x, 0, p, q), term[:p] + term[p + 1:q] + term[q + 1:] + letter
    return x, term


def _drop(x, term, sizes):
    """Drop the axes of length one that broadcast against longer ones."""
    axes = tuple(k for k, letter in enumerate(term) if x.shape[k] != sizes[letter])
    return (squeeze(x, axes) if axes else x), _without(term, axes)


def _sum_alone(x, term, elsewhere):
    """Sum over the indices that occur nowhere else."""
    axes = tuple(k for k, letter in enumerate(term) if letter not in elsewhere)
    return (x.sum(axis=axes) if axes else x), _without(term, axes)


def _without(term, axes):
    return "".join(letter for k, letter in enumerate(term) if k not in axes)


# ---- multiplying two -------------------------------------------------------------------------------------------------
def _result_term(terms, i, j, output):
    """The indices of a pair that the output or another operand still needs. The last pair takes the output's order."""
    if len(terms) == 2:
        return output
    needed = {*output}.union(*(term for k, term in enumerate(terms) if k not in (i, j)))
    return "".join(letter for letter in dict.fromkeys(terms[i] + terms[j]) if letter in needed)


def _best_pair(terms, output, sizes):
    """Which two to multiply next: those of the fewest multiplications and, among equals, of the smallest product."""
    def cost(pair):
        i, j = pair
        indices = (set(terms[i] + terms[j]), _result_term(terms, i, j, output))
        return [math.prod(sizes[letter] for letter in term) for term in indices]

    return min(itertools.combinations(range(len(terms)), 2), key=cost)


@primitive
def _einsum_pair(xp, a, b, *, terms):
    a_term, b_term, output = terms
    size = dict(zip(a_term + b_term, a.shape + b.shape))
    stack = [c for c in output if c in a_term and c in b_term]
    rows = [c for c in output if c not in b_term]
    columns = [c for c in output if c not in a_term]
    summed = [c for c in a_term if c not in output]
    if not summed:
        return xp.multiply(_spread(a, a_term, output), _spread(b, b_term, output))
    y = xp.matmul(_grouped(a, a_term, stack, rows, summed), _grouped(b, b_term, stack, summed, columns))
    order = stack + rows + columns
    return y.reshape([size[c] for c in order]).transpose([order.index(c) for c in output])


def _grouped(x, term, *groups):
    """x with its axes in the order of the groups, and each group made one axis."""
    x = x.transpose([term.index(c) for group in groups for c in group])
    sizes = iter(x.shape)
    return x.reshape([math.prod(next(sizes) for _ in group) for group in groups])


def _spread(x, term, output):
    """x with its axes in the order of the output, and an axis of length one for each index that it has not."""
    x = x.transpose([term.index(c) for c in output if c in term])
    sizes = iter(x.shape)
    return x.reshape([next(sizes) if c in term else 1 for c in output])


_einsum_pair.vjp(lambda g, b, terms: _einsum_pair(g, b, (terms[2], terms[1], terms[0])),            # Eq. (1), ā
                 lambda g, a, terms: _einsum_pair(g, a, (terms[2], terms[0], terms[1])))            # Eq. (1), b̄
