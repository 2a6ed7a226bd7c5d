"""Flow: a distribution made of a base and a transform."""
import numpy as np
import pytest
from flows.contract import shaken, t
from scipy import stats

import minigen as mg
from minigen import check, nn
from minigen.distributions import Bernoulli, Normal, kl_monte_carlo
from minigen.flows import (Affine, Compose, ConditionalAffine, Exp, Flow, Identity, Inverse, LeakyReLU, Logit, LULinear,
                           Planar, Radial, Sigmoid, Softplus, Tanh)

pytestmark = pytest.mark.usefixtures("backend")


def standard(*event):
    return Normal(mg.zeros(event), mg.zeros(event), event_ndim=len(event))


def flow_2d(seed=0):
    parts = [Inverse(Planar(2, rng=seed)), Affine(2), LULinear(2, rng=seed), Inverse(Radial(2, rng=seed))]
    return shaken(Flow(standard(2), Compose(parts)), seed)


# ---- densities -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("transform, bounds, oracle", [
    (Affine(1, shift=-2.0, log_scale=0.5), (-np.inf, np.inf), stats.norm(2 * np.exp(-0.5), np.exp(-0.5))),
    (Inverse(Exp()), (0, np.inf), stats.lognorm(1)),
    (Inverse(Softplus()), (0, np.inf), None), (Logit(), (0, 1), None), (Inverse(Tanh()), (-1, 1), None),
    (LeakyReLU(0.3), (-np.inf, np.inf), None), (Compose([Logit(), Affine(1, 0.3, -0.5)]), (0, 1), None)],
    ids=lambda v: type(v).__name__ if isinstance(v, nn.Module) else "")
def test_integrates_to_one_in_1d(transform, bounds, oracle, backend):
    flow = Flow(standard(1), transform.to(backend)).astype("float64")
    report = check.density(flow.log_prob, bounds=[bounds], sample=flow.sample, n=3000)
    assert report.ok, report
    if oracle is not None:
        x = oracle.rvs((20, 1), random_state=0)
        np.testing.assert_allclose(flow.log_prob(t(x)).numpy(), oracle.logpdf(x)[:, 0], rtol=1e-9)


@pytest.mark.parametrize("seed", [0, 1])
def test_integrates_to_one_in_2d_and_its_samples_follow(seed):
    report = check.density(flow_2d(seed), n=3000, rng=seed)
    assert report.ok, report


def test_a_transform_that_does_not_reach_all_of_the_base_loses_mass():
    """z = e^x is positive: half of a standard normal has no x. The integral says so."""
    flow = Flow(standard(1), Exp()).astype("float64")
    report = check.density(flow.log_prob, bounds=[(-np.inf, np.inf)])
    assert not report.ok and abs(report.values["total"] - 0.5) < 1e-6


def test_log_prob_is_the_change_of_variables():
    flow, x = flow_2d(), t(np.random.default_rng(0).standard_normal((5, 2)))
    z, log_abs_det = flow.transform(x)
    np.testing.assert_allclose(flow.log_prob(x).numpy(),
                               stats.norm.logpdf(z.numpy()).sum(axis=1) + log_abs_det.numpy(), rtol=1e-12)
    np.testing.assert_array_equal(flow(x).numpy(), z.numpy())


def test_a_density_that_underflows_stays_finite_in_log_space():
    flow = Flow(standard(2), Affine(2, log_scale=3.0))
    x = t([[1e3, -1e3]], "float32")
    log_p = flow.log_prob(x)
    assert np.isfinite(log_p.numpy()).all() and np.exp(log_p.numpy()) == 0
    np.testing.assert_allclose(log_p.numpy(), -np.exp(6) * 1e6 + 6 - np.log(2 * np.pi), rtol=1e-6)
    z = t([[80.0, -80.0]], "float32")                 # far out, where σ is 1 in float32 and its density e^−80
    _, log_p = Flow(standard(2), Logit()).sample_and_log_prob((1,), eps=z)
    assert np.isfinite(log_p.numpy()).all()


def test_gradients_reach_base_and_transform():
    flow = Flow(Normal(nn.Parameter(mg.zeros(2)), mg.zeros(2)), Affine(2))
    assert [name for name, _ in flow.named_parameters()] == ["base.mean", "transform.shift", "transform.log_scale"]
    x = t([[1.0, 2.0], [3.0, 6.0]], "float32")
    (-flow.log_prob(x)).mean().backward()
    np.testing.assert_allclose(flow.base.mean.grad.numpy(), [-2.0, -4.0], rtol=1e-6)
    np.testing.assert_allclose(flow.transform.shift.grad.numpy(), [2.0, 4.0], rtol=1e-6)
    np.testing.assert_allclose(flow.transform.log_scale.grad.numpy(), [4.0, 19.0], rtol=1e-6)       # E[z x] − 1


def test_the_base_moves_and_is_converted_with_the_flow():
    flow = Flow(standard(2), Affine(2)).astype("float64")
    assert flow.base.mean.dtype == np.float64 and flow.sample(3, rng=0).dtype == np.float64
    assert list(flow.state_dict()) == ["transform.shift", "transform.log_scale"]


# ---- samples ---------------------------------------------------------------------------------------------------------
def test_sample_inverts_what_log_prob_does():
    flow, eps = flow_2d(), t(np.random.default_rng(1).standard_normal((3, 4, 2)))
    x = flow.sample((3, 4), eps=eps)
    np.testing.assert_allclose(flow(x).numpy(), eps.numpy(), atol=1e-9)
    again, log_p = flow.sample_and_log_prob((3, 4), eps=eps)
    np.testing.assert_array_equal(again.numpy(), x.numpy())
    np.testing.assert_allclose(log_p.numpy(), flow.log_prob(x).numpy(), rtol=1e-9)


def test_sizes_and_seeds():
    flow = flow_2d()
    assert flow.sample(rng=0).shape == (2,) and flow.sample(3, rng=0).shape == (3, 2)
    assert flow.sample((2, 3), rng=0).shape == (2, 3, 2)
    np.testing.assert_array_equal(flow.sample(3, rng=5).numpy(), flow.sample(3, rng=5).numpy())
    with pytest.raises(ValueError, match="needs something to draw with; pass rng="):
        flow.sample(3)


def test_it_is_a_distribution_for_everyone_else():
    """A flow into a flow, and its divergence from a Normal by Monte Carlo: 0 for an affine map of that Normal."""
    inner = Flow(standard(2), Affine(2, log_scale=-0.7))
    outer = Flow(inner, Affine(2, shift=1.0))
    assert [name for name, _ in outer.named_parameters()][:2] == ["base.transform.shift", "base.transform.log_scale"]
    p = Normal(mg.full((2,), -1.0), mg.full((2,), 0.7))
    x = p.sample(6, rng=0)
    np.testing.assert_allclose(outer.log_prob(x).numpy(), p.log_prob(x).numpy(), rtol=1e-5)
    assert outer.batch_shape == () and outer.event_shape == (2,) and outer.reparameterised
    assert repr(outer) == "Flow(batch_shape=(), event_shape=(2,))"
    assert abs(float(np.ravel(kl_monte_carlo(outer, p, 100, rng=0)[0].numpy())[0])) < 1e-5


# ---- with a context --------------------------------------------------------------------------------------------------
def conditional():
    network = nn.MLP([1, 8, 4], rng=0)
    return shaken(Flow(standard(2), Compose([ConditionalAffine(network), LULinear(2, rng=0)])))


def test_a_conditional_flow_integrates_to_one_for_each_context():
    flow = conditional()
    for c in (-1.0, 2.0):
        report = check.density(lambda x, c=c: flow.log_prob(x, t([c])), bounds=[(-np.inf, np.inf)] * 2,
                               sample=lambda n, rng, c=c: flow.sample(n, rng=rng, context=t([c])), n=2000)
        assert report.ok, report


def test_a_context_for_each_example():
    flow, c = conditional(), t([[-1.0], [0.0], [2.0]])
    x = flow.sample(4, rng=0, context=c)                                                       # four for each context
    assert x.shape == (4, 3, 2)
    log_p = flow.log_prob(x, c)
    assert log_p.shape == (4, 3)
    for k in range(3):
        np.testing.assert_allclose(flow.log_prob(x[:, k], c[k]).numpy(), log_p.numpy()[:, k], rtol=1e-12)
    assert flow.sample(rng=0, context=c).shape == (3, 2)
    x2, log_p2 = flow.sample_and_log_prob(4, rng=0, context=c)
    np.testing.assert_array_equal(x2.numpy(), x.numpy())
    np.testing.assert_allclose(log_p2.numpy(), log_p.numpy(), rtol=1e-10)


# ---- saved, refused --------------------------------------------------------------------------------------------------
def test_state_dict_round_trip():
    ours, theirs, x = flow_2d(0), flow_2d(1), t(np.random.default_rng(0).standard_normal((5, 2)))
    assert (ours.log_prob(x).numpy() != theirs.log_prob(x).numpy()).all()
    theirs.load_state_dict(ours.state_dict())
    np.testing.assert_array_equal(ours.log_prob(x).numpy(), theirs.log_prob(x).numpy())


def test_what_is_refused():
    with pytest.raises(TypeError, match=r"wants a Distribution and a Transform, Flow\(base, transform\), got a "
                                        "Identity and a Normal"):
        Flow(Identity(), standard(2))
    with pytest.raises(ValueError, match=r"Flow: the base must be one distribution, got a batch of them: Normal\("):
        Flow(Normal(mg.zeros((3, 2)), mg.zeros((3, 2))), Identity())
    with pytest.raises(ValueError, match=r"Flow: an event of the base has 1 axes, \(2,\), one of the transform 3"):
        Flow(standard(2), Identity(3))
    for wrong in ((4, 3), (), (2, 1)):
        with pytest.raises(ValueError, match=r"log_prob: this flow wants events of shape \(2,\), got x of shape"):
            Flow(standard(2), Sigmoid()).log_prob(mg.zeros(wrong))
    with pytest.raises(NotImplementedError, match="Flow: it has no entropy in closed form"):
        flow_2d().entropy()
    assert Flow(Bernoulli(mg.zeros(2)), Identity()).reparameterised is False
