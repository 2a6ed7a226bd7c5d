"""MMD and KID against naive loops and closed forms; unbiased, with honest errors and p-values."""
import numpy as np
import pytest

import minigen as mg
from minigen.metrics import gaussian_kernel, kid, mmd, mmd_test, polynomial_kernel
from minigen.metrics import features as shared

X, Y = np.random.default_rng(0).standard_normal((2, 8, 3))
KERNELS = {
    "gaussian": (gaussian_kernel(0.7), lambda x, y: np.exp(-np.sum((x - y) ** 2) / (2 * 0.7 ** 2))),
    "cubic": (polynomial_kernel(), lambda x, y: (x @ y / 3 + 1) ** 3),
    "linear": (polynomial_kernel(1), lambda x, y: x @ y / 3 + 1),
}


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("unbiased", [True, False])
def test_equals_a_loop_over_pairs(name, unbiased, monkeypatch):
    kernel, k = KERNELS[name]
    monkeypatch.setattr(shared.chunks, "__defaults__", (3,))                    # 8 and 7 rows in chunks of three
    y = Y[:7]
    def within(z):
        pairs = [k(a, b) for i, a in enumerate(z) for j, b in enumerate(z) if not unbiased or i != j]
        return np.mean(pairs)
    wanted = within(X) + within(y) - 2 * np.mean([k(a, b) for a in X for b in y])
    assert mmd(X, y, kernel, unbiased) == pytest.approx(wanted, rel=1e-12)
    assert mmd(mg.tensor(X), y, kernel, unbiased) == pytest.approx(wanted, rel=1e-12)


def test_the_linear_kernel_compares_means():
    """With ⟨x, y⟩ / D + 1 the biased MMD² is ‖mean x − mean y‖² / D."""
    wanted = np.sum((X.mean(0) - Y.mean(0)) ** 2) / 3
    assert mmd(X, Y, polynomial_kernel(1), unbiased=False) == pytest.approx(wanted)


def expected_gaussian_kernel(offset, variance, D, scale):
    """E k(x, y) for x − y ~ N(offset in each of D directions, variance I)."""
    width = scale ** 2 + variance
    return (scale ** 2 / width) ** (D / 2) * np.exp(-D * offset ** 2 / (2 * width))


def test_gaussians_in_closed_form():
    """U over 300 repeats of n = m = 40: the mean within 5 standard errors of Eq. (1), a false alarm below 1e-6; and V
    is off by more, so that the test can tell."""
    rng, D, scale, std, shift = np.random.default_rng(1), 2, 1.2, 0.6, 0.5
    x = rng.standard_normal((300, 40, D))
    y = shift + std * rng.standard_normal((300, 40, D))
    truth = (expected_gaussian_kernel(0, 2, D, scale) + expected_gaussian_kernel(0, 2 * std ** 2, D, scale)
             - 2 * expected_gaussian_kernel(shift, 1 + std ** 2, D, scale))
    kernel = gaussian_kernel(scale)
    for unbiased in (True, False):
        found = np.array([mmd(a, b, kernel, unbiased) for a, b in zip(x, y)])
        error = found.std(ddof=1) / np.sqrt(len(found))
        assert (abs(found.mean() - truth) < 5 * error) == unbiased


# ---- KID -------------------------------------------------------------------------------------------------------------
def test_kid_is_the_cubic_mmd_of_all_samples():
    assert kid(X, Y, blocks=2).value == pytest.approx(mmd(X, Y, KERNELS["cubic"][0]))
    assert kid(X, Y, blocks=2, rng=1) == kid(X, Y, blocks=2, rng=np.random.default_rng(1))
    assert kid(X, Y, blocks=2, rng=1).value == kid(X, Y, blocks=2, rng=2).value
    assert kid(X, Y, blocks=2, rng=1).standard_error != kid(X, Y, blocks=2, rng=2).standard_error


@pytest.mark.parametrize("shift", [0.0, 0.7])
def test_kid_is_unbiased_and_its_error_honest(shift):
    """400 repeats of n = 60, m = 40 draws in 3 dimensions. On one distribution the mean is 0 within 5 standard errors
    (false alarm below 1e-6) though single estimates reach far to both sides. The reported standard error is close
    to the true one where the distributions differ, and √10 times that for ten blocks where they do not; the root mean
    squares are known to about 6 % here."""
    rng = np.random.default_rng(2)
    found = [kid(rng.standard_normal((60, 3)), shift + rng.standard_normal((40, 3)), rng=rng) for _ in range(400)]
    values = np.array([estimate.value for estimate in found])
    true_error = values.std(ddof=1)
    reported = np.sqrt(np.mean([estimate.standard_error ** 2 for estimate in found]))
    if not shift:
        assert abs(values.mean()) < 5 * true_error / np.sqrt(400)
        assert 0.2 < np.mean(values < 0) < 0.8
        assert 0.75 < reported / (np.sqrt(10) * true_error) < 1.33
    else:
        assert values.mean() > 5 * true_error / np.sqrt(400)
        assert 0.8 < reported / true_error < 1.4


def test_an_estimate_tells_its_error():
    assert str(kid(np.zeros((4, 1)), np.ones((4, 1)), blocks=2)) == "7 ± 0"     # 1 + 8 − 2


# ---- the test --------------------------------------------------------------------------------------------------------
def test_the_statistic_is_the_biased_mmd():
    for kernel, _ in KERNELS.values():
        assert mmd_test(X, Y[:5], kernel)[0] == pytest.approx(mmd(X, Y[:5], kernel, unbiased=False))


def test_p_values_are_valid_and_find_a_difference():
    """39 exchanges: p ≤ 0.05 has probability 2/40 on one distribution, so 15 of 300 repeats, standard deviation 3.8;
    fewer than 2 or more than 34 would be a false alarm of 1e-5. Shifted by 2, every p is the smallest, 1/40."""
    rng, kernel = np.random.default_rng(3), gaussian_kernel(1.0)
    draws = rng.standard_normal((300, 2, 12, 2))
    p = np.array([mmd_test(x, y, kernel, exchanges=39, rng=rng)[1] for x, y in draws])
    assert set(np.round(40 * p, 9)) <= set(range(1, 41))
    assert 2 <= (p < 0.0501).sum() <= 34
    assert all(mmd_test(x, y + 2, kernel, exchanges=39, rng=rng)[1] == 1 / 40 for x, y in draws[:20])


def test_equal_sets_have_p_one():
    value, p = mmd_test(X, X, gaussian_kernel(1.0))
    assert abs(value) < 1e-12 and p == 1


@pytest.mark.parametrize("call, words", [
    (lambda: mmd(X, Y[:, :2], polynomial_kernel()), r"mmd: wants features .* got \(8, 3\) and \(8, 2\)"),
    (lambda: mmd(X[:1], Y, polynomial_kernel()), "mmd: wants at least 2 samples"),
    (lambda: mmd(X / 0.0, Y, polynomial_kernel()), "mmd: 8 samples are not finite"),
    (lambda: kid(X, Y), r"kid: wants at least 20 samples in each set, got \(8, 3\)"),
    (lambda: kid(X, Y, blocks=1), "kid: a standard error takes at least 2 blocks, got 1"),
    (lambda: mmd_test(X, Y, polynomial_kernel(), exchanges=0), "mmd_test: wants at least 1 exchange, got 0"),
    (lambda: gaussian_kernel(0.0), "the scale must be positive, got 0.0"),
    (lambda: gaussian_kernel(float("nan")), "the scale must be positive, got nan"),
    (lambda: polynomial_kernel(0), "the degree must be at least 1, got 0"),
])
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_bad_input_is_told(call, words):
    with pytest.raises(ValueError, match=words):
        call()
