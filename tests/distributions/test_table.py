"""Table against sums written out by hand, over random joints: the identities hold to 1e-12."""
import numpy as np
import pytest
from hypothesis import given, strategies as st

import minigen as mg
from minigen.distributions.table import Table, product

seeds = st.integers(0, 2 ** 32 - 1)


def joint(seed, **sizes):
    return Table.random(seed, **(sizes or {"x": 2, "y": 3, "z": 4}))


def close(a, b):
    return a.difference(b) < 1e-12


# ---- making one ------------------------------------------------------------------------------------------------------
def test_constructor_keeps_numbers_and_protects_them():
    p = Table([[0.1, 0.2], [0.3, 0.4]], "x", "y")
    assert p.sizes == {"x": 2, "y": 2} and p.probability(x=1, y=0) == 0.3 and str(p) == "p(x, y)"
    with pytest.raises(ValueError):
        p.probabilities[0, 0] = 1.0
    assert "y=1" in repr(p) and "0.4000" in repr(p)


def test_a_tensor_of_float32_becomes_float64():
    p = Table(mg.tensor([0.25, 0.75]), "x")
    assert p.probabilities.dtype == np.float64


@pytest.mark.parametrize("make, message", [
    (lambda: Table([0.5, 0.6], "x"), r"p\(x\) must sum to 1 over x, got 1.1"),
    (lambda: Table([-0.5, 1.5], "x"), "negative"),
    (lambda: Table([float("nan"), 1.0], "x"), "must sum to 1"),
    (lambda: Table([0.5, 0.5], "x", "y"), "one distinct name per axis"),
    (lambda: Table([[0.5, 0.5]], "x", "x"), "one distinct name per axis"),
    (lambda: Table([[0.5, 0.2], [0.4, 0.8]], "x", "y", conditions=1), r"p\(x \| y\) must sum to 1 over x, got 0.9"),
    (lambda: Table.normalised([0.0, 0.0], "x"), "sum to 0"),
    (lambda: joint(0).marginal("w"), "no variable 'w'"),
    (lambda: joint(0).given(x=2), "takes the values 0…1, got 2"),
    (lambda: joint(0).given(x=0.5), "takes the values 0…1, got 0.5"),
    (lambda: Table([0.5, 0.5], "x", conditions=1), "of 1 axes 1 are to be conditions; at least one must be left"),
    (lambda: joint(0).given("x", y=0, z=0), "left"),
    (lambda: Table([[0.5, 0.5], [0.0, 0.0]], "x", "y").given(x=1), "x=1 has probability 0"),
    (lambda: joint(0).marginal("x") * joint(0).marginal("x"), "both describe x"),
    (lambda: joint(0).marginal("x", "y").given("y") * joint(0).marginal("x", "y").given("x"),
     "conditioned on the other"),
    (lambda: joint(0).kl(joint(0, x=2)), "same variables"),
    (lambda: joint(0).given("x").entropy(), "has conditions"),
    (lambda: joint(0).given("x").sample(3, rng=0), "has conditions"),
    (lambda: joint(0).given("x").probability(y=0), "needs a value for each of x"),
])
def test_misuse_is_told(make, message):
    with pytest.raises(ValueError, match=message):
        make()


# ---- the rules -------------------------------------------------------------------------------------------------------
@given(seeds)
def test_sum_rule_and_definition(seed):
    p = joint(seed)
    a = p.probabilities
    np.testing.assert_allclose(p.marginal("z", "x").probabilities, a.sum(axis=1).T, atol=1e-15)
    np.testing.assert_allclose(p.given(y=1).probabilities, a[:, 1] / a[:, 1].sum(), atol=1e-14)
    np.testing.assert_allclose(p.given("y", z=2).probabilities, a[:, :, 2] / a[:, :, 2].sum(axis=0), atol=1e-14)
    conditional = p.given("y")
    assert str(conditional) == "p(x, z | y)"
    np.testing.assert_allclose(conditional.probabilities, np.moveaxis(a / a.sum(axis=(0, 2), keepdims=True), 1, 2),
                               atol=1e-14)
    assert close(conditional * p.marginal("y"), p) and close(p.marginal("y") * conditional, p)
    assert close(conditional.given(y=2), p.given(y=2))
    assert close(conditional.marginal("x"), p.marginal("x", "y").given("y"))
    assert close(conditional.given("z"), p.given("y", "z"))


@given(seeds, st.permutations(["x", "y", "z"]))
def test_chain_rule_in_every_order(seed, order):
    p = joint(seed)
    factors = p.chain(*order)
    assert str(factors[2]) == f"p({order[2]} | {order[0]}, {order[1]})"
    assert close(product(factors), p)


@given(seeds)
def test_bayes_rule(seed):
    p = joint(seed, x=3, z=4)
    likelihood, prior = p.given("z"), p.marginal("z")
    posterior = likelihood.bayes(prior)
    by_hand = likelihood.probabilities * prior.probabilities / p.marginal("x").probabilities[:, None]
    np.testing.assert_allclose(posterior.marginal("z").probabilities.T, by_hand, atol=1e-14)
    assert close(posterior, p.given("x"))


@given(seeds)
def test_conditional_independence_is_seen_and_so_is_its_lack(seed):
    z = Table.random(seed, z=3)
    x_z, y_z = joint(seed + 1, x=2, z=3).given("z"), joint(seed + 2, y=4, z=3).given("z")
    p = x_z * y_z * z
    assert p.independent("x", "y", given="z") and not p.independent("x", "y")
    assert abs(p.mutual_information("x", "y", given="z")) < 1e-12 < 1e-8 < p.mutual_information("x", "y")
    assert not joint(seed).independent("x", "y", given="z")
    assert (Table.random(seed, x=2) * Table.random(seed + 1, y=2) * Table.random(seed + 2, z=2)).independent("x", "y",
                                                                                                             "z")
    assert (p.marginal("x", "z") * Table.random(seed, w=2)).independent(("x", "z"), "w")


def test_pairwise_independence_is_not_mutual_independence():
    xor = Table.normalised([[[1, 0], [0, 1]], [[0, 1], [1, 0]]], "x", "y", "z")
    assert xor.independent("x", "y") and xor.independent("x", "z") and xor.independent("y", "z")
    assert not xor.independent("x", "y", "z") and not xor.independent("x", "y", given="z")


@given(seeds)
def test_markov_factorisation(seed):
    names = ["a", "b", "c", "d"]
    p = joint(seed, a=2, b=3, c=2, d=2)
    chain = product(p.markov())
    assert not close(chain, p) and close(product(chain.markov(*names)), chain)
    assert chain.independent("a", ("c", "d"), given="b") and chain.independent(("a", "b"), "d", given="c")
    assert close(product(p.markov(order=3)), p)
    # it keeps the pairs, and no other Markov chain is nearer to p
    assert close(chain.marginal("b", "c"), p.marginal("b", "c"))
    other = product(joint(seed + 1, a=2, b=3, c=2, d=2).markov())
    assert p.kl(chain) < p.kl(other)


def test_a_condition_that_cannot_happen_weighs_nothing():
    p = Table([[0.5, 0.0], [0.5, 0.0]], "x", "y")
    conditional = p.given("y")
    assert np.isnan(conditional.probabilities[:, 1]).all()
    assert close(conditional * p.marginal("y"), p) and p.entropy("x", given="y") == pytest.approx(np.log(2))


# ---- numbers ---------------------------------------------------------------------------------------------------------
@given(seeds)
def test_entropy_kl_jsd(seed):
    p, q = joint(seed), joint(seed + 1)
    a, b = p.probabilities, q.probabilities
    assert p.entropy() == pytest.approx(-(a * np.log(a)).sum(), abs=1e-12)
    assert p.entropy() == pytest.approx(p.entropy("x") + p.entropy("y", given="x") + p.entropy("z", given=("x", "y")),
                                        abs=1e-12)
    assert p.kl(q) == pytest.approx((a * np.log(a / b)).sum(), abs=1e-12) and p.kl(p) == 0.0
    # chain rule of KL: KL(p(x,y) ‖ q(x,y)) = KL(p(x) ‖ q(x)) + E_p(x) KL(p(y|x) ‖ q(y|x))
    inner = sum(p.probability(x=v) * p.given(x=v).kl(q.given(x=v)) for v in range(2))
    assert p.kl(q) == pytest.approx(p.marginal("x").kl(q.marginal("x")) + inner, abs=1e-12)
    m = 0.5 * (a + b)
    assert p.jsd(q) == pytest.approx(0.5 * (a * np.log(a / m)).sum() + 0.5 * (b * np.log(b / m)).sum(), abs=1e-12)
    assert 0 <= p.jsd(q) <= np.log(2) and p.jsd(q) == pytest.approx(q.jsd(p), abs=1e-12)
    assert p.mutual_information("x", "z") == pytest.approx(
        p.marginal("x", "z").kl(p.marginal("x") * p.marginal("z")), abs=1e-12)
    assert p.expectation(lambda x, y, z: x * z) == pytest.approx(
        np.einsum("xyz,x,z->", a, np.arange(2), np.arange(4)), abs=1e-12)


def test_axes_are_matched_by_name_not_by_position():
    p = joint(3)
    assert p.kl(p.marginal("z", "y", "x")) == pytest.approx(0, abs=1e-14)


def test_kl_of_tables_with_zeros():
    p, q = Table([0.5, 0.5, 0.0], "x"), Table([0.25, 0.25, 0.5], "x")
    assert p.kl(q) == pytest.approx(np.log(2)) and q.kl(p) == np.inf
    assert Table([1.0, 0.0], "x").jsd(Table([0.0, 1.0], "x")) == pytest.approx(np.log(2))


def test_sample_follows_the_table():
    """χ² of 20,000 draws in 24 cells; a sound sampler fails one seed in a million, and the seed is fixed."""
    from scipy.stats import chi2
    p = joint(5)
    draws = p.sample(20_000, rng=0)
    counts = np.zeros(p.probabilities.shape)
    np.add.at(counts, (draws["x"], draws["y"], draws["z"]), 1)
    expected = 20_000 * p.probabilities
    assert ((counts - expected) ** 2 / expected).sum() < chi2.isf(1e-6, counts.size - 1)
    assert (Table([0.0, 1.0, 0.0], "x").sample(100, rng=1)["x"] == 1).all()


def test_parameter_counts_of_the_docstring():
    """The rank of the map from free parameters to joints is the number of parameters: 2ⁿ − 1, n, 2n − 1."""
    n, names = 4, ["a", "b", "c", "d"]
    rng = np.random.default_rng(0)

    def bernoulli(name, q):
        return Table([1 - q, q], name)

    def chain(theta):
        p = bernoulli("a", theta[0])
        for i in range(1, n):
            q = theta[2 * i - 1:2 * i + 1]
            p = p * Table([1 - q, q], names[i], names[i - 1], conditions=1)
        return p.probabilities.ravel()

    def free(theta):
        return product([bernoulli(name, q) for name, q in zip(names, theta)]).probabilities.ravel()

    def rank(family, k):
        theta, h = rng.uniform(0.2, 0.8, k), 1e-5
        columns = [(family(theta + h * e) - family(theta - h * e)) / (2 * h) for e in np.eye(k)]
        return np.linalg.matrix_rank(np.stack(columns, axis=1), tol=1e-6)

    assert rank(free, n) == n and rank(chain, 2 * n - 1) == 2 * n - 1
