"""Einstein sums against np.einsum: random subscripts, every order of derivative, and what is refused."""
import hypothesis.strategies as st
import numpy as np
import pytest
from helpers import assert_gradients, leaf
from hypothesis import given, settings

import minigen as mg

pytestmark = pytest.mark.usefixtures("backend")
RNG = np.random.default_rng(7)


@st.composite
def expressions(draw):
    """Valid subscripts and shapes: repeated letters, ellipses and lengths of one that broadcast, any kind of output."""
    sizes = {letter: draw(st.integers(0 if letter == "d" else 1, 3)) for letter in "abBcd"}
    hidden = [draw(st.integers(1, 2)) for _ in range(draw(st.integers(0, 2)))]
    terms, shapes = [], []
    for _ in range(draw(st.integers(1, 4))):
        term = draw(st.lists(st.sampled_from("abBcd"), max_size=3))
        shape = [draw(st.sampled_from([1, sizes[c]])) if term.count(c) == 1 else sizes[c] for c in term]
        if draw(st.booleans()):
            place = draw(st.integers(0, len(term)))
            front = [draw(st.sampled_from([1, n])) for n in hidden[draw(st.integers(0, len(hidden))):]]
            term.insert(place, "...")
            shape[place:place] = front
        terms.append("".join(term))
        shapes.append(tuple(shape))
    subscripts = ",".join(terms)
    if draw(st.booleans()):
        letters = sorted(set(subscripts) - set(",."))
        output = list(draw(st.permutations(letters)))[:draw(st.integers(0, len(letters)))]
        if "..." in subscripts:
            output.insert(draw(st.integers(0, len(output))), "...")
        subscripts += "->" + "".join(output)
    return subscripts, shapes


@settings(max_examples=150)
@given(expressions(), st.integers(0, 2**16))
def test_any_subscripts(backend, expression, seed):
    subscripts, shapes = expression
    rng = np.random.default_rng(seed)
    operands = [rng.standard_normal(shape) for shape in shapes]
    expected = np.einsum(subscripts, *operands)
    y = mg.einsum(subscripts, *map(mg.tensor, operands))
    assert y.shape == expected.shape
    np.testing.assert_allclose(y.numpy(), expected, atol=1e-10)


@given(expressions(), st.integers(0, 2**16))
def test_gradients_of_any_subscripts(backend, expression, seed):
    """An einsum is linear in each operand, so ⟨x̄, d⟩ = ⟨c, y with d for x⟩, and so on for d and e in place of two."""
    subscripts, shapes = expression
    rng = np.random.default_rng(seed)
    operands = [rng.standard_normal(shape) for shape in shapes]
    leaves = [leaf(x) for x in operands]
    y = mg.einsum(subscripts, *leaves)
    c = rng.standard_normal(y.shape)
    gradients = mg.grad(y, leaves, mg.tensor(c), create_graph=True)
    for k, (x, g) in enumerate(zip(operands, gradients)):
        direction = rng.standard_normal(x.shape)
        moved = np.einsum(subscripts, *operands[:k], direction, *operands[k + 1:])
        assert np.sum(g.numpy() * direction) == pytest.approx(np.sum(c * moved), rel=1e-9, abs=1e-9)
        other = (k + 1) % len(operands)                       # and the second derivative, along another operand
        if other != k:
            step = rng.standard_normal(shapes[other])
            second = mg.grad((g * mg.tensor(direction)).sum(), leaves[other], create_graph=True)
            both = [direction if j == k else step if j == other else x for j, x in enumerate(operands)]
            expected = np.sum(c * np.einsum(subscripts, *both))
            assert np.sum(second.numpy() * step) == pytest.approx(expected, rel=1e-9, abs=1e-9)


CASES = {
    "ij,jk->ik": [(2, 3), (3, 2)], "bij,bjk->bik": [(2, 2, 3), (2, 3, 2)], "i,j->ij": [(2,), (3,)],
    "i,i->i": [(3,), (3,)], "ii": [(3, 3)], "ii->i": [(3, 3)], "iji->ij": [(2, 3, 2)], "ij->": [(2, 3)],
    "ij->ji": [(2, 3)], "ij,k->i": [(2, 3), (2,)],
    "...i,...i->...": [(2, 1, 3), (4, 3)], "...ij,jk": [(2, 2, 3), (3, 2)], "ij,ij->ij": [(1, 3), (2, 3)],
    "ii,ij,j->i": [(2, 2), (2, 3), (3,)], "ab,bc,cd,de->ae": [(2, 3), (3, 2), (2, 3), (3, 2)], ",i->i": [(), (3,)],
    "": [()], "ij,jk->ik ": [(0, 3), (3, 2)], "ij, jk": [(2, 0), (0, 2)], "iii,i->i": [(2, 2, 2), (1,)],
    "aa,a": [(1, 1), (3,)]}


@pytest.mark.parametrize("subscripts", CASES, ids=repr)
def test_gradients(subscripts):
    operands = [RNG.standard_normal(shape) for shape in CASES[subscripts]]
    assert_gradients(lambda *xs: mg.einsum(subscripts, *(x * x for x in xs)), *operands)


def test_third_derivative():
    """f = Σ A_ijk x_i x_j x_k is cubic: its third derivative along x is 3! f."""
    a, x = mg.tensor(RNG.standard_normal((3, 3, 3))), leaf(RNG.standard_normal(3))
    f = mg.einsum("ijk,i,j,k", a, x, x, x)
    g = f
    for _ in range(3):
        g = mg.einsum("i,i", mg.grad(g, x, create_graph=True), x.detach())
    assert g.item() == pytest.approx(6 * f.item(), rel=1e-10)


def test_the_result_does_not_share_the_memory_of_a_saved_product():
    x = leaf(np.ones((2, 3)))
    assert mg.einsum("ij->ji", x)._version is x._version                       # a view, and known to be one
    y = mg.einsum("ij,kj->ki", x, x)
    assert y._version is not x._version


def test_many_operands_are_multiplied_in_a_good_order():
    """A chain of matrices that ends in a vector: no product on the way may be larger than a vector."""
    operands = [leaf(np.ones(shape)) for shape in [(9, 8), (8, 7), (7, 6), (6,)]]
    y = mg.einsum("ij,jk,kl,l->i", *operands)
    np.testing.assert_array_equal(y.numpy(), np.full(9, 8.0 * 7 * 6))
    nodes, shapes = [y.node], []
    while nodes:
        node = nodes.pop()
        shapes.append(node.shape)
        nodes += [source for source in node.sources if not isinstance(source, mg.Tensor)]
    assert max(map(len, shapes)) == 1


def test_dtype_and_lists():
    x = mg.tensor([1.0, 2.0])
    assert mg.einsum("i,i", x, x).dtype == np.float32
    assert mg.einsum("i,i", x, [3.0, 4.0]).item() == 11.0
    assert mg.einsum("i,i->i", [1, 2], [3, 4]).dtype == np.int64


@pytest.mark.parametrize("a, b, axes", [
    ((2, 3), (3, 2), 1), ((2, 3), (2, 3), 2), ((2,), (3,), 0), ((2, 3), (4, 3), (-1, 1)), ((2, 3), (3, 0), 1),
    ((2, 3, 4), (4, 3), ([1, 2], [1, 0]))], ids=str)
def test_tensordot(a, b, axes):
    a, b = RNG.standard_normal(a), RNG.standard_normal(b)
    expected = np.tensordot(a, b, axes)
    y = mg.tensordot(mg.tensor(a), mg.tensor(b), axes)
    assert y.shape == expected.shape
    np.testing.assert_allclose(y.numpy(), expected, atol=1e-12)
    assert_gradients(lambda s, t: mg.tensordot(s * s, t, axes), a, b)


# ---- what is refused -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("subscripts, shapes, message", [
    ("ij,jk->ik", [(2, 3), (4, 2)], r"index 'j' has lengths 3 and 4; got operands of shapes \(2, 3\), \(4, 2\)"),
    ("...i,...i", [(2, 3), (4, 3)], "an axis behind '...' has lengths 2 and 4"),
    ("ij,jk", [(2, 3)], "speaks of 2 operands, got 1"),
    ("ijk", [(2, 3)], "the term 'ijk' names 3 axes, its operand has 2"),
    ("i", [(2, 3)], "names 1 axes, its operand has 2"),
    ("ij...", [(2,)], "names 2 axes, its operand has 1"),
    ("i1", [(2, 3)], "may hold letters and one '...'"),
    ("......", [(2,)], "may hold letters and one '...'"),
    ("i..", [(2,)], "may hold letters and one '...'"),
    ("i->j", [(2,)], "the output has 'j', which must be an index, and there once"),
    ("i->ii", [(2,)], "the output has 'i'"),
    ("i->>i", [(2,)], "the output has '>'"),
    ("...i->i", [(2, 3)], "must appear in the output, as '...'"),
    ("ii", [(2, 3)], "index 'i' has lengths 2 and 3"),
    ("ii", [(1, 3)], "the diagonal over 'i' has lengths 1 and 3"),
], ids=str)
def test_bad_subscripts(subscripts, shapes, message):
    with pytest.raises(ValueError, match="einsum: .*" + message):
        mg.einsum(subscripts, *map(mg.ones, shapes))


def test_other_bad_calls():
    with pytest.raises(TypeError, match="einsum: wants subscripts such as 'ij,jk->ik' first, got Tensor"):
        mg.einsum(mg.ones(2), "i")
    for axes in (2, ((0,), (0,)), ((0, 1), (0,))):
        with pytest.raises(ValueError, match=r"tensordot: .* differ in length; got \(2, 3\) and \(3, 2\)"):
            mg.tensordot(mg.ones((2, 3)), mg.ones((3, 2)), axes)


def test_gradients_agree_with_torch():
    torch = pytest.importorskip("torch")
    subscripts = "nqhd,nkhd,nkhe->nqhe"                                        # linear attention
    operands = [RNG.standard_normal(shape) for shape in [(2, 3, 2, 2), (2, 4, 2, 2), (2, 4, 2, 3)]]
    theirs, ours = [torch.tensor(x, requires_grad=True) for x in operands], [leaf(x) for x in operands]
    torch.einsum(subscripts, *theirs).sin().sum().backward()
    mg.sin(mg.einsum(subscripts, *ours)).sum().backward()
    for a, b in zip(ours, theirs):
        np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), rtol=1e-9)
