"""Every mistake on show is caught, with words that help, and every clean twin passes; so do the tools around them."""
import dataclasses
import json
import math
import pathlib
import re

import numpy as np
import pytest

import minigen as mg
from minigen import check, cli, museum
from minigen.check import Report
from minigen.distributions import Normal
from minigen.museum import derivatives, divergences, likelihoods, penalties

pytestmark = pytest.mark.usefixtures("backend")

FINDINGS = {         # what the check must say of the mistake
    "log-variance-as-std": "about the square of that",
    "halved-kl": "yours is ½ of ours",
    "kl-averaged-over-latents": "4 is the number of dimensions: averaged where it should be summed",
    "clipped-probabilities": "yours is zero everywhere",
    "averaged-logits": "farthest off at x = [1.0, 0.0, 1.0]",
    "mean-of-logs": "its mean is about 0.7",
    "mask-sees-itself": "every output sees its own input",
    "max-ties": "yours is 2 times ours",
    "batch-norm-detached-mean": "is missing",
    "softplus-second-derivative": "order 2? our gradient is NaN",
    "gradient-penalty-over-batch": "times ours everywhere",
    "gradient-penalty-per-pixel": "yours = ours?",
    "noise-without-root": "variance? yours has a factor 1 − ᾱ too many",
    "score-without-root": "the factor √(1 − ᾱ) is missing",
    "noise-at-the-last-step": "was drawn, and is not in the support",
}


@pytest.fixture
def minigen(capsys):
    """Run a command in this process: (status, stdout, stderr)."""
    def run(*argv):
        status = cli.main([str(a) for a in argv])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


def array(values):
    return mg.tensor(np.asarray(values, dtype=np.float64))


# ---- the exhibits ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("exhibit", museum.EXHIBITS, ids=museum.names())
def test_the_mistake_is_caught_and_the_clean_twin_passes(exhibit):
    outcome = exhibit.run()
    outcome.twin.raise_if_failed()
    assert outcome.twin.claims and outcome.caught and outcome.passes and outcome.ok
    assert FINDINGS[exhibit.name] in outcome.finding, outcome.bug


def test_exhibits_are_described():
    assert len(set(museum.names())) == len(museum.names()) == len(FINDINGS)
    for exhibit in museum.EXHIBITS:
        assert re.fullmatch(r"[a-z]+(-[a-z]+)+", exhibit.name) and museum.get(exhibit.name) is exhibit
        assert all(text.endswith(".") for text in (exhibit.wrong, exhibit.plausible)), exhibit.name
        _, _, tool = exhibit.caught_by.partition(": " if ":" in exhibit.caught_by else ".")
        assert tool in check.__all__ or tool in check.derivations.names(), exhibit.caught_by


def test_get_names_the_nearest():
    with pytest.raises(ValueError, match="no exhibit is called 'max-tie'; did you mean 'max-ties'?"):
        museum.get("max-tie")
    with pytest.raises(ValueError, match=r"no exhibit is called 7; museum.names\(\) lists them"):
        museum.get(7)


# ---- why they look right: where the mistake and its twin are the same ------------------------------------------------
@pytest.mark.parametrize("build, x", [(derivatives.build_max, [1.0, 3.0, 3.0, -2.0]),
                                      (derivatives.build_batch_norm, [[1.0, 2.0, 3.0], [0.5, 7.0, 3.5]]),
                                      (derivatives.build_softplus, [-800.0, -1.0, 0.0, 800.0])])
def test_mistakes_of_the_backward_pass_have_the_right_value(build, x):
    wrong, right = (build(buggy)(array(x)).numpy() for buggy in (True, False))
    np.testing.assert_allclose(wrong, right, rtol=1e-15)


def test_the_slope_of_the_fragile_softplus_is_right():
    x = mg.tensor(np.array([-800.0, -1.0, 0.0, 800.0]), requires_grad=True)
    with np.errstate(over="ignore"):                               # e⁸⁰⁰ = ∞, and 1 / (1 + ∞) = 0 is right
        slopes = [mg.grad(mg.sum(derivatives.build_softplus(buggy)(x)), x).numpy() for buggy in (True, False)]
    np.testing.assert_allclose(*slopes, rtol=1e-15)


def test_penalties_agree_for_one_example_and_for_vectors():
    one, vectors = (array(np.random.default_rng(0).standard_normal(shape)) for shape in ((1, 2, 2, 3), (5, 3)))
    for wrong, x in ((penalties.over_the_batch, one), (penalties.per_pixel, vectors)):
        values = [p(lambda x: mg.sum(mg.exp(x), axis=tuple(range(1, x.ndim))), x).numpy()
                  for p in (wrong, penalties.right)]
        np.testing.assert_allclose(np.broadcast_to(values[0], values[1].shape), values[1], rtol=1e-12)


def test_likelihoods_agree_where_nothing_is_averaged_or_saturated():
    log_w, logits, target = array([-3.0]), array([-2.0, 0.5, 3.0]), array([1.0, 0.0, 0.3])
    assert likelihoods.build_bound(True)(log_w).item() == likelihoods.build_bound(False)(log_w).item() == -3
    losses = [likelihoods.build_cross_entropy(buggy)(logits, target).numpy() for buggy in (True, False)]
    np.testing.assert_allclose(*losses, rtol=1e-12)


def test_divergences_agree_for_one_latent():
    q, p = Normal(array([0.5]), array([-0.3])), Normal(array([0.0]), array([0.0]))
    averaged, right = (divergences.build_kl(buggy)(q, p).item() for buggy in (True, False))
    assert averaged == pytest.approx(right, rel=1e-12) and right > 0.1


# ---- an exhibit that does not work is told ---------------------------------------------------------------------------
def fake(bug_error, twin_error):
    """An exhibit whose check reports these errors against the tolerance 1."""
    def judge(error):
        report = Report("fake")
        report.add("x", "is small", error, 1.0)
        return report

    return dataclasses.replace(museum.get("max-ties"), name="fake-one", check=judge,
                               build=lambda buggy: bug_error if buggy else twin_error)


@pytest.mark.parametrize("errors, caught, passes", [((2.0, 0.5), True, True), ((0.5, 0.5), False, True),
                                                    ((2.0, 2.0), True, False), ((math.nan, 0.5), False, True),
                                                    ((math.inf, 0.5), True, True)])
def test_verdicts(errors, caught, passes, minigen, monkeypatch):
    outcome = fake(*errors).run()
    assert (outcome.caught, outcome.passes, outcome.ok) == (caught, passes, caught and passes)
    shown = museum.table([outcome])
    assert ("MISSED" not in shown, "FAILS" not in shown) == (caught, passes)
    assert ("the clean twin, is accused" in shown) == (not passes)
    monkeypatch.setattr(museum, "EXHIBITS", (fake(*errors),))
    assert minigen("check", "--museum")[0] == int(not outcome.ok)
    assert [o.ok for o in museum.run_all()] == [outcome.ok]


def test_the_finding_without_and_with_a_diagnosis():
    assert fake(0.5, 0.5).run().finding == ""
    assert fake(2.0, 0.5).run().finding == "x: is small? no simple relation found"


# ---- the command line and the page -----------------------------------------------------------------------------------
def test_command(minigen):
    status, out, _ = minigen("check", "--museum")
    lines = out.splitlines()
    assert status == 0 and [line.split()[0] for line in lines[1:1 + len(FINDINGS)]] == museum.names()
    assert all(line.split()[-2:] == ["caught", "passes"] for line in lines[1:1 + len(FINDINGS)])
    assert lines[1 + len(FINDINGS)] == f"{len(FINDINGS)} of {len(FINDINGS)} bugs caught with a clean twin that passes"
    assert all(text in out for text in FINDINGS.values())


def test_command_in_json(minigen):
    status, out, err = minigen("check", "--museum", "max-ties", "halved-kl", "--json")
    rows = json.loads(out)
    assert (status, err) == (0, "") and [row["name"] for row in rows] == ["max-ties", "halved-kl"]
    assert list(rows[0]) == ["name", "wrong", "plausible", "typical_of", "caught_by", "bug_caught", "twin_passes",
                             "finding"]
    assert all(row["bug_caught"] is row["twin_passes"] is True for row in rows)


def test_command_lists_and_refuses(minigen):
    rows = json.loads(minigen("check", "--museum", "--list", "--json")[1])
    status, out, err = minigen("check", "--museum", "--list")
    assert (status, err) == (0, "") and [row["name"] for row in rows] == museum.names()
    assert all(text in out for row in rows for text in row.values())
    status, out, err = minigen("check", "--museum", "max-tie")
    assert (status, out) == (1, "")
    assert err == "minigen check: no exhibit is called 'max-tie'; did you mean 'max-ties'?\n"


def test_the_page_shows_every_exhibit():
    page = (pathlib.Path(mg.__file__).parents[1] / "docs" / "museum.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([\w-]+)` \| (.*?) \| ([^|]*) \| `([^`]*)` \|$", page, re.MULTILINE)
    shown = [(e.name, e.wrong.replace("|", "\\|"), e.plausible, e.caught_by) for e in museum.EXHIBITS]
    assert rows == shown
