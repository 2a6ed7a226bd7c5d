"""check.gradient: the engine vouched for, and what a person is told about a gradient of their own."""
import numpy as np
import pytest

import minigen as mg
from minigen import check

pytestmark = pytest.mark.usefixtures("backend")
rng = np.random.default_rng(0)
X, y, w = rng.standard_normal((7, 3)), rng.standard_normal(7), rng.standard_normal(3)


def loss(w, b):
    return ((mg.tanh(mg.tensor(X) @ w + b) - mg.tensor(y)) ** 2).mean()


def by_hand(w, b, factor=2 / 7):
    h = np.tanh(X @ w + b)
    back = factor * (h - y) * (1 - h * h)
    return X.T @ back, np.sum(back)


def diagnosis(report):
    return report.findings[0].diagnosis


def test_a_function_that_refuses_points_outside_its_domain():
    def root(x):
        if bool((x <= 0).any()):
            raise ValueError("only for x > 0")
        return mg.sqrt(x).sum()

    x = np.array([0.001, 5.0])                      # the steps of the differences are in units of the larger one
    assert check.gradient(root, x, claimed=0.5 / np.sqrt(x)).ok
    assert not check.gradient(root, x, claimed=1 / np.sqrt(x)).ok


def test_without_a_claim_the_engine_is_verified_to_second_order():
    report = check.gradient(loss, w, 0.3)
    assert report.ok and report.title == "gradient of loss"
    statements = [claim.statement for claim in report.claims]
    assert statements.count("ours = differences, order 1") == statements.count("ours = differences, order 2") == 2
    assert "forward = reverse mode" in statements
    assert [kind for kind, *_ in report.pictures] == ["curve", "curve"]
    assert len(check.gradient(loss, w, 0.3, order=1).pictures) == 1


def test_a_right_claim_holds_however_it_is_given():
    good = by_hand(w, 0.3)
    for claimed in (good, list(good), {"w": good[0], "b": good[1]}, (good[0], None), by_hand,
                    lambda w, b: by_hand(w.numpy(), b.numpy()), tuple(map(mg.tensor, good)),
                    tuple(map(np.float32, good))):
        assert check.gradient(loss, w, 0.3, claimed=claimed, order=1).ok


def test_a_claim_written_with_minigen_or_numpy():
    f, point = lambda x: (mg.exp(x) * x).sum(), np.array([0.3, -1.0])
    for claimed in (lambda x: mg.exp(x) * (1 + x), lambda x: np.exp(x) * (1 + x),
                    lambda x: np.exp(x.numpy()) * (1 + x.numpy())):
        assert check.gradient(f, point, claimed=claimed).ok


def test_a_wrong_claim_is_located_measured_and_explained():
    wrong = by_hand(w, 0.3, factor=2)
    report = check.gradient(loss, w, 0.3, claimed=wrong)
    assert not report.ok and [finding.subject for finding in report.findings] == ["w", "b"]
    worst = report.findings[0].elements[0]
    assert worst.yours == wrong[0][worst.index] and worst.ours == pytest.approx(worst.numeric, rel=1e-6)
    assert worst.yours == pytest.approx(7 * worst.ours) and abs(wrong[0][worst.index]) == abs(wrong[0]).max()
    assert diagnosis(report).kind == "sum-for-mean" and "7" in diagnosis(report).text
    assert report.findings[0].map.shape == (3,) and any(kind == "map" for kind, *_ in report.pictures)


def test_the_sentence_names_the_line_of_the_users_code():
    h = np.tanh(X @ w + 0.3)
    report = check.gradient(loss, w, 0.3, claimed=(X.T @ (2 / 7 * (h - y)), None))
    text, line = diagnosis(report).text, loss.__code__.co_firstlineno + 1
    assert diagnosis(report).kind == "chain-factor"
    assert f"tanh (line {line} of test_gradients.py" in text and "1 − tanh² x" in text


def test_offered_terms_and_factors_are_named():
    data, decay = lambda x: mg.cos(x).sum(), lambda x: 0.5 * (x * x).sum()
    x = np.array([0.3, 1.0, -2.0])
    terms = {"data": data, "decay": decay}
    report = check.gradient(lambda x: data(x) + decay(x), x, claimed=-np.sin(x), terms=terms)
    assert str(diagnosis(report)) == "the term 'decay' is missing"
    report = check.gradient(lambda x: data(x) + decay(x), x, claimed=-np.sin(x) - x, terms=terms)
    assert str(diagnosis(report)) == "the term 'decay' has the wrong sign"
    report = check.gradient(lambda x: data(x) + decay(x), x, claimed=2 * x, terms={"data": -np.sin(x), "decay": x})
    assert str(diagnosis(report)) == "the term 'data' is missing, and yours has the term 'decay' once too often"
    a = np.array([0.5, 2.0, 3.0])
    report = check.gradient(lambda x: (mg.tensor(a) * x).sum(), x, claimed=np.ones(3), factors={"a": a})
    assert diagnosis(report).text.startswith("the factor a is missing")


def test_a_wrong_custom_op_is_found_out():
    @mg.primitive
    def cube(xp, x):
        return x * x * x

    cube.vjp(lambda g, x: g * 2 * x ** 2)
    for size in ((2, 3), (20, 30)):
        report = check.gradient(cube, rng.standard_normal(size))
        assert not report.ok and "our gradient is ⅔ of the measured one everywhere" in str(report)


def test_an_op_that_is_wrong_to_second_order_only():
    @mg.primitive
    def square(xp, x):
        return x * x

    square.vjp(lambda g, x: g * 2 * x.detach() if isinstance(x, mg.Tensor) else g * 2 * x)
    report = check.gradient(square, rng.standard_normal(4))
    assert not report.ok and {finding.statement for finding in report.findings} >= {"ours = differences, order 2"}


def test_kinks_and_ties_are_named_and_never_called_wrong():
    x = np.array([1.0, 0.0, -2.0])
    report = check.gradient(lambda x: mg.abs(x).sum(), x, claimed=np.array([1.0, 1.0, -1.0]))
    assert report.ok
    assert "x[1] = 0 is at a kink or tie (of abs): slope -1 from the left, 1 from the right" in report.notes[0]
    report = check.gradient(lambda x: x.max(), np.array([3.0, 1.0, 3.0]), claimed=np.array([1.0, 0.0, 0.0]))
    assert report.ok and "(of max)" in report.notes[0] and "both valid choices" in report.notes[0]
    assert not check.gradient(lambda x: mg.abs(x).sum(), x, claimed=np.array([1.0, 1.5, -1.0])).ok
    assert not check.gradient(lambda x: mg.abs(x).sum(), x, claimed=np.array([-1.0, 1.0, -1.0])).ok
    assert any("jump" in note for note in check.gradient(lambda x: (mg.floor(x) + x).sum(), np.array([1.0, 0.5])).notes)
    assert any("edge" in note for note in check.gradient(lambda x: mg.sqrt(x).sum(), np.array([0.0, 0.5])).notes)
    many = check.gradient(lambda x: mg.relu(x).sum(), np.zeros(6))
    assert many.ok and many.notes[-1] == "3 more elements like these"


def test_a_thousand_inputs_are_sampled_by_directions_and_it_says_so():
    W, calls = rng.standard_normal((1000, 8)), []

    def f(x):
        calls.append(1)
        return mg.logsumexp(mg.tanh(x @ mg.tensor(W) * 0.05))

    report = check.gradient(f, rng.standard_normal(1000))
    assert report.ok and "1000 elements, 16 random directions" in str(report)
    assert len(calls) < 400                                # at half a millisecond each, a fifth of a second


def test_one_wrong_element_of_a_thousand_is_found():
    @mg.primitive
    def spoiled(xp, x):
        return x * x

    spoiled.vjp(lambda g, x: g * 2 * x * (1 + 0.1 * (x > 2.5)))
    point = rng.uniform(1, 2, 1000)
    point[421] = 3.0
    report = check.gradient(spoiled, point, order=1)
    assert not report.ok and report.findings[0].elements[0].index == (421,)


def test_names_shapes_and_empty_inputs():
    assert check.gradient(lambda a, b: (a * b).sum(), [1.0, 2.0], 3.0,
                          names=["left", "right"]).claims[0].subject == "left"
    assert check.gradient(lambda *xs: sum(x.sum() for x in xs), [1.0], [2.0]).claims[0].subject == "x0"
    assert check.gradient(lambda x: (x * x).sum(), np.zeros((0, 3)), claimed=np.zeros((0, 3))).ok
    report = check.gradient(lambda b: (mg.tensor(X) + b).sum(), np.zeros(3), claimed=np.ones((7, 3)))
    assert diagnosis(report).kind == "missing-sum" and "axis 0" in diagnosis(report).text


def test_claims_in_low_precision_get_the_slack_they_need_and_no_more():
    f, x = lambda x: mg.exp(x).sum(), np.array([0.1, 2.0, 5.0])
    assert check.gradient(f, x, claimed=np.exp(x).astype(np.float32)).ok
    assert not check.gradient(f, x, claimed=np.exp(x) * (1 + 1e-5)).ok
    assert check.gradient(f, x, claimed=np.exp(x) * (1 + 1e-5), rtol=1e-4).ok


def test_an_infinite_gradient_is_told():
    report = check.gradient(lambda x: mg.sqrt(x).sum(), np.array([0.0, 1.0]))
    assert any("infinite somewhere" in note for note in report.notes)


def test_a_vector_function_with_a_cotangent():
    c = np.array([1.0, -2.0, 0.5])
    assert check.gradient(lambda x: mg.exp(x), np.zeros(3), claimed=c, cotangent=c).ok
