"""Shapes of sample, batch and event, and what every distribution refuses."""
import numpy as np
import pytest
from hypothesis import given, strategies as st

import minigen as mg
from minigen import distributions

pytestmark = pytest.mark.usefixtures("backend")
shapes = st.lists(st.integers(1, 3), max_size=2).map(tuple)
FAMILIES = {"Normal": lambda shape, n: distributions.Normal(mg.zeros(shape), mg.zeros(shape), n),
            "Bernoulli": lambda shape, n: distributions.Bernoulli(mg.zeros(shape), n),
            "Categorical": lambda shape, n: distributions.Categorical(mg.zeros((*shape, 4)), n)}


@pytest.mark.parametrize("family", FAMILIES)
@given(shapes, shapes, shapes)
def test_shapes(family, size, batch, event):
    p = FAMILIES[family](batch + event, len(event))
    assert (p.batch_shape, p.event_shape, p.event_ndim) == (batch, event, len(event))
    x = p.sample(size, rng=0)
    assert x.shape == size + batch + event
    assert p.log_prob(x).shape == size + batch
    assert p.entropy().shape == batch


@pytest.mark.parametrize("family", FAMILIES)
def test_an_event_sums_what_its_entries_would_give(family):
    whole, entries = FAMILIES[family]((2, 3), 2), FAMILIES[family]((2, 3), 0)
    x = whole.sample(5, rng=0)
    np.testing.assert_allclose(whole.log_prob(x).numpy(), entries.log_prob(x).numpy().sum(axis=(1, 2)), rtol=1e-5)
    np.testing.assert_allclose(whole.entropy().numpy(), entries.entropy().numpy().sum(), rtol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_x_broadcasts_against_the_batch_but_never_against_the_event(family):
    p = FAMILIES[family]((4, 3), 1)
    x = FAMILIES[family]((3,), 1).sample(rng=0)
    assert p.log_prob(x).shape == (4,)
    for wrong in ((4, 1), (3, 4), (), (5, 3), (1,)):
        with pytest.raises(ValueError, match=rf"log_prob: {family}\(.*\(4,\), event_shape=\(3,\)\) wants x of shape"):
            p.log_prob(mg.zeros(wrong, dtype=x.dtype))


@pytest.mark.parametrize("family", FAMILIES)
def test_the_same_seed_gives_the_same_draw_and_a_generator_goes_on(family):
    p = FAMILIES[family]((20,), 1)
    np.testing.assert_array_equal(p.sample(3, rng=5).numpy(), p.sample(3, rng=5).numpy())
    rng = mg.random.default_rng(5)
    assert (p.sample(3, rng=rng).numpy() != p.sample(3, rng=rng).numpy()).any()


@pytest.mark.parametrize("family", FAMILIES)
def test_sample_wants_noise_of_one_kind_or_the_other(family):
    p = FAMILIES[family]((3,), 1)
    with pytest.raises(ValueError, match=rf"sample: {family}.* needs something to draw with; pass rng="):
        p.sample(2)
    with pytest.raises(ValueError, match=rf"{family}.* wants noise of shape \(2, 3.*\) for size=\(2,\), got \(2,\)"):
        p.sample(2, eps=mg.zeros(2))
    with pytest.raises(ValueError, match=rf"sample: {family}.* cannot draw size=\(-2,\); it counts draws"):
        p.sample(-2, rng=0)


@pytest.mark.parametrize("family", FAMILIES)
def test_more_event_axes_than_there_are(family):
    with pytest.raises(ValueError, match=rf"{family}: event_ndim=2 asks .* shape \(3,\); pass event_ndim=0 for plain"):
        FAMILIES[family]((3,), 2)


def test_parameters_broadcast_and_numbers_become_float32():
    p = distributions.Normal([0, 1, 2], 0.5)
    assert p.mean.dtype == p.log_std.dtype == np.float32 and p.log_std.shape == (3,)
    np.testing.assert_allclose(p.entropy().item(), 3 * distributions.Normal(0, 0.5, 0).entropy().item(), rtol=1e-6)


def test_bad_parameters():
    with pytest.raises(ValueError, match=r"Normal: its parameters must broadcast, got mean \(3,\) and log_std \(2,\)"):
        distributions.Normal(mg.zeros(3), mg.zeros(2))
    with pytest.raises(TypeError, match=r"Bernoulli: logits must be floating, got int64 of shape \(2,\)"):
        distributions.Bernoulli(mg.tensor([0, 1]))


def test_a_family_without_a_method_says_so():
    class Odd(distributions.Distribution):
        def __init__(self):
            self._set_shapes((), 0)

    for call in (lambda p: p.log_prob(0.0), lambda p: p.entropy(), lambda p: p.sample(rng=0)):
        with pytest.raises(NotImplementedError, match="Odd: it"):
            call(Odd())
