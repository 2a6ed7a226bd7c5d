"""Gradient penalties: closed forms, finite differences to second order, one norm for each example."""
import numpy as np
import pytest
from helpers import assert_gradients, central_difference

import minigen as mg
from minigen import nn
from minigen.models.adversarial import R1, GradientPenalty
from minigen.models.adversarial.penalties import input_gradient

pytestmark = pytest.mark.usefixtures("backend")

RNG = np.random.default_rng(0)
W1, B1, W2 = RNG.standard_normal((3, 4)), RNG.standard_normal(4), RNG.standard_normal((4, 1))
X, FAKE = RNG.standard_normal((5, 3)), RNG.standard_normal((5, 3))
ALPHA = RNG.random(5)


def mlp(W1, b1, W2):
    """A critic x → tanh(x W1 + b1) W2, (N, 3) → (N,)."""
    return lambda x: mg.matmul(mg.tanh(mg.matmul(x, W1) + b1), W2)[:, 0]


def gradient(x):
    """∇ₓ of `mlp` by hand, (N, 3), NumPy."""
    return ((1 - np.tanh(x @ W1 + B1) ** 2) * W2[:, 0]) @ W1.T


def rng():
    return mg.random.default_rng(0)


def critic():
    return mlp(*map(mg.tensor, (W1, B1, W2)))


def test_input_gradient_equals_the_derivative_by_hand():
    x = mg.tensor(X)
    weights = [mg.tensor(w, requires_grad=True) for w in (W1, B1, W2)]
    np.testing.assert_allclose(input_gradient(mlp(*weights), x).numpy(), gradient(X), rtol=1e-12)
    assert not x.requires_grad                                   # the caller's tensor is left alone


def test_values_in_closed_form():
    between = ALPHA[:, None] * X + (1 - ALPHA[:, None]) * FAKE
    norm = np.linalg.norm(gradient(between), axis=1)
    ours = GradientPenalty(7.0)(critic(), mg.tensor(X), mg.tensor(FAKE), alpha=mg.tensor(ALPHA))
    np.testing.assert_allclose(ours.numpy(), 7.0 * (norm - 1) ** 2, rtol=1e-12)
    ours = R1(3.0)(critic(), mg.tensor(X))
    np.testing.assert_allclose(ours.numpy(), 1.5 * (gradient(X) ** 2).sum(axis=1), rtol=1e-12)


@pytest.mark.parametrize("penalty", [GradientPenalty(), R1()])
def test_first_and_second_derivative_by_the_weights_equal_differences(penalty):
    """The second derivative of a penalty is a fourth pass through the critic."""
    x, fake, alpha = mg.tensor(X), mg.tensor(FAKE), mg.tensor(ALPHA)
    assert_gradients(lambda *w: penalty(mlp(*w), x, fake, alpha=alpha), W1, B1, W2, rtol=1e-4, atol=1e-5)


IMAGES, FAKE_IMAGES = RNG.standard_normal((2, 3, 4, 4, 1))
NORMS = {"none": None, "batch": nn.BatchNorm, "layer": nn.LayerNorm, "group": lambda C: nn.GroupNorm(1, C)}
KERNEL, GAMMA, BETA, OUT = (RNG.standard_normal(shape) for shape in ((3, 3, 1, 2), (2,), (2,), (8, 1)))


def convolutional(norm):
    """(w, γ, β, v) ↦ critic: images (N, 4, 4, 1) → convolution of stride 2 → norm → tanh → linear → (N,)."""
    def build(w, gamma, beta, v):
        def critic(x):
            h = mg.conv2d(x, w, stride=2, padding=1)                                            # (N, 2, 2, 2)
            if NORMS[norm]:
                layer = NORMS[norm](2).astype("float64")
                layer.weight, layer.bias = gamma, beta
                h = layer(h)
            else:
                h = gamma * h + beta
            return mg.matmul(mg.reshape(mg.tanh(h), (len(x), 8)), v)[:, 0]
        return critic
    return build


@pytest.mark.parametrize("norm", NORMS)
def test_the_input_gradient_through_a_norm_equals_differences(norm):
    build, weights = convolutional(norm), (KERNEL, GAMMA, BETA, OUT)
    critic = build(*(mg.tensor(w, requires_grad=True) for w in weights))
    numeric, = central_difference(lambda x: float(mg.sum(critic(mg.tensor(x)))), [IMAGES])
    np.testing.assert_allclose(input_gradient(critic, mg.tensor(IMAGES)).numpy(), numeric, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("norm", NORMS)
def test_the_penalty_through_convolution_and_norm_equals_differences_to_second_order(norm):
    """The penalty itself holds a first derivative, so this goes through the layers four times. Batch norm is exact too,
    although its penalty is no longer that of each example."""
    build = convolutional(norm)
    x, fake, alpha = mg.tensor(IMAGES), mg.tensor(FAKE_IMAGES), mg.tensor(ALPHA[:3])
    assert_gradients(lambda *w: GradientPenalty()(build(*w), x, fake, alpha=alpha), KERNEL, GAMMA, BETA, OUT,
                     rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("norm", NORMS)
def test_batch_norm_alone_mixes_the_examples(norm):
    """Eq. (4) holds for every norm but that of the batch."""
    critic = convolutional(norm)(*(mg.tensor(w) for w in (KERNEL, GAMMA, BETA, OUT)))
    together = critic(mg.tensor(IMAGES)).numpy()
    alone = critic(mg.tensor(IMAGES[:1])).numpy()
    assert np.allclose(together[:1], alone, rtol=1e-9) == (norm != "batch")


@pytest.mark.parametrize("penalty", [GradientPenalty(), R1()])
def test_each_example_has_its_own_norm(penalty):
    """A batch of five equals five batches of one; a norm over the whole batch would not."""
    x, fake, alpha = mg.tensor(X), mg.tensor(FAKE), mg.tensor(ALPHA)
    together = penalty(critic(), x, fake, alpha=alpha).numpy()
    alone = [float(penalty(critic(), x[n:n + 1], fake[n:n + 1], alpha=alpha[n:n + 1])) for n in range(5)]
    np.testing.assert_allclose(together, alone, rtol=1e-12)


def test_images_have_one_norm_each():
    """a(x) = ⟨c, x⟩ has the gradient c everywhere: its norm is over all axes of the event."""
    c, x = RNG.standard_normal((4, 3, 2)), mg.tensor(RNG.standard_normal((6, 4, 3, 2)))
    direction = mg.tensor(c, requires_grad=True)
    ours = GradientPenalty(1.0)(lambda x: mg.sum(x * direction, axis=(1, 2, 3)), x, x + 1.0, rng=rng())
    np.testing.assert_allclose(ours.numpy(), np.full(6, (np.linalg.norm(c) - 1) ** 2), rtol=1e-12)


def test_a_flat_critic_has_a_finite_penalty_and_gradient():
    """At ∇a = 0 the norm has a kink: the penalty is λ, its gradient 0 and not NaN."""
    w = mg.tensor(np.zeros((3, 1)), requires_grad=True)
    penalty = mg.mean(GradientPenalty()(lambda x: mg.matmul(x, w)[:, 0], mg.tensor(X), mg.tensor(FAKE), rng=rng()))
    assert float(penalty) == 10.0
    np.testing.assert_array_equal(mg.grad(penalty, w).numpy(), np.zeros((3, 1)))


@pytest.mark.parametrize("call, words", [
    (lambda: GradientPenalty(0.0), "weight must be positive, got 0.0"),
    (lambda: R1(-1.0), "weight must be positive, got -1.0"),
    (lambda: GradientPenalty()(critic(), mg.tensor(X), mg.tensor(FAKE[:3]), rng=rng()), r"\(5, 3\) and \(3, 3\)"),
])
def test_bad_input_is_told(call, words):
    with pytest.raises(ValueError, match=words):
        call()
