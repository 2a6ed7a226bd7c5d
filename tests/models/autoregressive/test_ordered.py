"""What every model of bits written one after another must do: FVSBN, NADE and MADE side by side."""
import itertools

import numpy as np
import pytest
import scipy.stats
from helpers import assert_gradients

import minigen as mg
from minigen.models.autoregressive import FVSBN, MADE, NADE
from minigen.models.autoregressive.ordered import Autoregressive

pytestmark = pytest.mark.usefixtures("backend")
EVENT, D = (3, 4), 12
ORDER = np.random.default_rng(7).permutation(D)
IMAGES = np.array(list(itertools.product([0.0, 1.0], repeat=D))).reshape(-1, *EVENT)         # all 2¹² of them

MAKE = {
    "FVSBN": lambda order: FVSBN(EVENT, order=order),
    "NADE": lambda order: NADE(EVENT, 9, order=order, block=5),
    "MADE": lambda order: MADE(EVENT, (30, 30), order=order, activation=mg.tanh),
    "MADE, direct": lambda order: MADE(EVENT, (16,), order=order, direct=True, activation=mg.tanh),
    "MADE, three sets": lambda order: MADE(EVENT, (40,), order=order, masks=3, activation=mg.tanh),
}
FAMILIES = [pytest.param((name, order), id=name + (", permuted" if order is ORDER else ""))
            for name in MAKE for order in (None, ORDER)]


def shaken(model, std=1.0, seed=0):
    """The model in float64 with random parameters, so that nothing is small or zero."""
    rng = np.random.default_rng(seed)
    values = {name: std * rng.standard_normal(p.shape) for name, p in model.astype("float64").named_parameters()}
    model.load_state_dict({**model.state_dict(), **values})
    return model


def make(family, **settings):
    name, order = family
    return shaken(MAKE[name](order), **settings)


def bits(n, seed=0):
    return (np.random.default_rng(seed).random((n, *EVENT)) < 0.5).astype(float)


# ---- the likelihood --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("family", FAMILIES)
def test_probabilities_of_all_images_sum_to_one(family):
    with mg.no_grad():
        log_p = make(family).log_prob(mg.tensor(IMAGES)).numpy()
    assert log_p.shape == (4096,) and abs(np.exp(log_p).sum() - 1) < 1e-12


@pytest.mark.parametrize("family", FAMILIES)
def test_an_output_sees_what_comes_before_it_and_nothing_else(family):
    """By `minigen.check`, and by a Jacobian of our own: strictly triangular in the order, and full there."""
    model = make(family)
    x = np.random.default_rng(1).random((4, D))
    assert mg.check.causality(model.conditionals, x, order=model.order)
    jacobian = np.stack([mg.jacobian(lambda v: model.conditionals(v[None])[0], mg.tensor(row)).numpy() for row in x])
    seen = (jacobian != 0).any(axis=0)[np.ix_(model.order, model.order)]
    np.testing.assert_array_equal(seen, np.tril(np.ones((D, D), bool), -1))


@pytest.mark.parametrize("family", FAMILIES)
def test_log_prob_is_the_sum_of_log_conditionals_found_one_by_one(family):
    """p(x_d = 1 | x_<d) as a ratio of sums over all images that agree on the entries before d."""
    model = make(family)
    with mg.no_grad():
        p = np.exp(Autoregressive.log_prob(model, mg.tensor(IMAGES)).numpy())
        x = bits(1, 3)
        ours = model.log_conditionals(mg.tensor(x)).numpy().ravel()
    flat, agree = IMAGES.reshape(-1, D), np.ones(4096, bool)
    for d in model.order:
        before, agree = p[agree].sum(), agree & (flat[:, d] == x.ravel()[d])
        np.testing.assert_allclose(ours[d], np.log(p[agree].sum() / before), rtol=1e-9)


def test_extreme_logits_stay_finite():
    model = shaken(FVSBN(EVENT), std=1e4)
    log_p = model.log_prob(mg.tensor(bits(50))).numpy()
    assert np.isfinite(log_p).all() and log_p.min() < -1e4


# ---- gradients -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["FVSBN", "NADE", "MADE"])
def test_gradients_with_respect_to_every_parameter(name):
    small = {"FVSBN": lambda: FVSBN(4), "NADE": lambda: NADE(4, 3, block=3), "MADE": lambda: MADE(4, (4,),
             activation=mg.tanh)}[name]
    model = shaken(small())
    x, named = mg.tensor((np.random.default_rng(0).random((3, 4)) < 0.5).astype(float)), dict(model.named_parameters())

    def f(*values):
        for path, value in zip(named, values):
            owner = model
            for part in path.split(".")[:-1]:
                owner = owner[int(part)] if part.isdigit() else getattr(owner, part)
            setattr(owner, path.split(".")[-1], value)
        return model.log_prob(x)

    assert_gradients(f, *[p.numpy() for p in named.values()])


@pytest.mark.parametrize("family", FAMILIES)
def test_the_objective_moves_every_parameter(family):
    model = make(family)
    (objective,) = model.objectives()
    terms = objective.loss({"x": mg.tensor(bits(20))}, mg.random.default_rng(0))
    gradients = mg.grad(terms["loss"], objective.parameters)
    assert terms["loss"].shape == () and all(np.any(g.numpy() != 0) for g in gradients)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_prior_adds_half_lambda_times_the_squared_weights_and_leaves_the_biases_alone(family):
    model, x = make(family), mg.tensor(bits(20))
    parameters, terms, gradients = list(model.parameters()), [], []
    for model.l2 in (0.0, 0.3):
        terms.append(model.objectives()[0].loss({"x": x}, mg.random.default_rng(0)))
        gradients.append(mg.grad(terms[-1]["loss"], parameters))
    weights = {id(layer.weight): layer.mask.numpy() for layer in model.modules()
               if isinstance(layer, mg.nn.MaskedLinear)}
    weights = [p.numpy() * weights.get(id(p), p.ndim > 1) for p in parameters]                 # what is connected
    squares = sum((w ** 2).sum() for w in weights)
    np.testing.assert_allclose(float(terms[1]["loss"]), float(terms[0]["loss"]) + 0.15 * squares, rtol=1e-12)
    np.testing.assert_allclose(float(terms[1]["nll"]), float(terms[0]["loss"]), rtol=1e-12)
    for w, a, b in zip(weights, *gradients):
        np.testing.assert_allclose(b.numpy() - a.numpy(), 0.3 * w, rtol=1e-9, atol=1e-13)


# ---- generation ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("family", FAMILIES)
def test_cached_sampling_equals_naive_sampling_bit_for_bit(family):
    model = make(family)
    cached = model.sample(40, rng=mg.random.default_rng(3)).numpy()
    naive = model.sample(40, rng=mg.random.default_rng(3), cached=False).numpy()
    np.testing.assert_array_equal(cached, naive)
    assert cached.shape == (40, *EVENT) and set(np.unique(cached)) == {0.0, 1.0}


def cells(p, least):
    """Which of some cells each image belongs to: neighbours joined until a cell has this probability or more."""
    cell, mass, of = 0, 0.0, np.zeros(len(p), int)
    for k, q in enumerate(p):
        of[k], mass = cell, mass + q
        if mass >= least:
            cell, mass = cell + 1, 0.0
    return np.minimum(of, cell - 1)


@pytest.mark.parametrize("family", FAMILIES)
def test_samples_follow_the_probabilities(family):
    """20,000 draws, the 4,096 images joined to cells of probability 1/64 or more: Pearson's χ², false alarm 1e-6."""
    model, n = make(family, std=0.7), 20_000
    with mg.no_grad():
        p = np.exp(model.log_prob(mg.tensor(IMAGES)).numpy())
    drawn = model.sample(n, rng=mg.random.default_rng(0)).numpy().reshape(n, D)
    cell = cells(p, 1 / 64)
    expected = n * np.bincount(cell, p)
    counts = np.bincount(cell[(drawn @ 2.0 ** np.arange(D - 1, -1, -1)).astype(int)], minlength=len(expected))
    assert scipy.stats.chi2.sf(((counts - expected) ** 2 / expected).sum(), len(expected) - 1) > 1e-6


@pytest.mark.parametrize("family", FAMILIES)
def test_completions_follow_p_of_the_rest_given_the_first(family):
    """20,000 completions of 8 known entries against p(rest | known) = p(x) / Σ p, for 16 rests; 5 standard deviations
    each, false alarm 1e-5 in all."""
    model, n = make(family, std=0.7), 20_000
    x = bits(1, 5)
    order = model.order
    known = np.zeros(D, bool)
    known[order[:8]] = True
    with mg.no_grad():
        p = np.exp(Autoregressive.log_prob(model, mg.tensor(IMAGES)).numpy())
        spoilt = np.where(known.reshape(EVENT), x, np.nan)                       # what is not known is not read
        done = model.complete(mg.tensor(np.repeat(spoilt, n, axis=0)), known.reshape(EVENT),
                              rng=mg.random.default_rng(1)).numpy().reshape(n, D)
        again = model.complete(mg.tensor(np.repeat(x, 9, axis=0)), 8, eps=mg.tensor(np.full((9, D), 0.4))).numpy()
    assert (done[:, known] == x.reshape(D)[known]).all() and (again == again[0]).all()
    agree = (IMAGES.reshape(-1, D)[:, known] == x.reshape(D)[known]).all(axis=1)
    expected = p[agree] / p[agree].sum()
    codes = {row.tobytes(): k for k, row in enumerate(IMAGES.reshape(-1, D)[agree])}
    share = np.bincount([codes[row.tobytes()] for row in done], minlength=16) / n
    assert (np.abs(share - expected) < 5 * np.sqrt(expected * (1 - expected) / n)).all()


@pytest.mark.parametrize("family", FAMILIES)
def test_cached_completion_equals_naive_completion(family):
    model, x = make(family), mg.tensor(bits(20))
    cached, naive = (model.complete(x, 5, rng=mg.random.default_rng(2), cached=c).numpy() for c in (True, False))
    np.testing.assert_array_equal(cached, naive)
    np.testing.assert_array_equal(model.complete(x, D, rng=mg.random.default_rng(0)).numpy(), x.numpy())


def test_completion_leaves_its_input_alone():
    x = mg.zeros((5, *EVENT))
    FVSBN(EVENT).complete(x, 3, rng=mg.random.default_rng(0))
    assert (x.numpy() == 0).all()


# ---- bad input -------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("call, words", [
    (lambda m: m.log_prob(mg.zeros((2, 4, 3))), r"wants observations \(N, 3, 4\), got shape \(2, 4, 3\)"),
    (lambda m: m.log_prob(mg.full((2, 3, 4), 0.25)), "wants bits, 0 and 1, got values from 0.25 to 0.25; binarise"),
    (lambda m: m.log_prob(mg.full((2, 3, 4), np.nan)), "wants bits"),
    (lambda m: m.complete(mg.zeros((2, 3, 4)), 13, rng=0), "has 12 entries, so that many or fewer are known, not 13"),
    (lambda m: m.complete(mg.zeros((2, 3, 4)), np.ones((4, 3), bool), rng=0), r"booleans of shape \(3, 4\)"),
    (lambda m: m.complete(mg.zeros((2, 3, 4)), np.arange(12).reshape(3, 4) < 6, rng=0),
     "the 6 known entries are not the first 6 in the order"),
    (lambda m: m.complete(mg.full((2, 3, 4), 0.5), 4, rng=0), "wants bits"),
    (lambda m: m.sample(2), "needs an rng to draw with"),
    (lambda m: m.sample(2, rng=0, labels=[1, 2]), "knows no labels"),
    (lambda m: m.sample(2, eps=mg.zeros((12, 2))), r"for each of 2 × 12 entries, got shape \(12, 2\)"),
    (lambda m: FVSBN((3, 0)), r"must have entries, .* got shape \(3, 0\)"),
    (lambda m: FVSBN(3, l2=-1.0), "l2 be a number ≥ 0, got .* l2=-1.0"),
    (lambda m: FVSBN(4, order=[0, 1, 1, 2]), "permutation of 0 … 3"),
    (lambda m: NADE(4, 3, order=[0, 1]), r"NADE: the order must be a permutation of 0 … 3, got shape \(2,\)"),
    (lambda m: NADE(4, 0), "at least one hidden unit"),
    (lambda m: MADE(4, order="alphabetical"), "'random', a permutation, or one for each set, got 'alphabetical'"),
])
def test_bad_input_is_told(call, words):
    with pytest.raises(ValueError, match=words):
        call(FVSBN(EVENT, order=ORDER))
