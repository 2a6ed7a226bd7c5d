"""The checker checked: hundreds of planted mistakes must be caught and understood, and no correct claim accused.

Everything is seeded, so the figures are the same in every run; they are printed, and docs/check.md must quote them.
"""
import pathlib

import pytest
from check.correct import right_cases
from check.mutations import wrong_cases

import minigen as mg

GUIDE = pathlib.Path(__file__).parents[2] / "docs" / "check.md"
SILENT = {"none", "biased", "inconclusive"}          # diagnoses that claim no relation


def score_wrong(seeds):
    """(planted, missed, related, misread): names of those that were missed, and (name, diagnosis) of those misread."""
    planted, related, missed, misread = 0, 0, [], []
    for name, run, kinds in wrong_cases(seeds):
        planted, related, report = planted + 1, related + bool(kinds), run()
        if report.ok:
            missed.append(name)
        elif report.findings[0].diagnosis.kind not in (kinds or SILENT):
            misread.append((name, report.findings[0].diagnosis))
    return planted, missed, related, misread


@pytest.fixture(scope="module")
def wrong():
    return score_wrong(range(2))


@pytest.fixture(scope="module")
def accused():
    reports = [(name, run()) for name, run in right_cases(range(4))]
    return len(reports), [f"{name}\n{report}" for name, report in reports if not report.ok]


def test_planted_mistakes_are_caught_and_understood(wrong):
    planted, missed, related, misread = wrong
    guessed = [name for name, diagnosis in misread if "random" in name]
    assert planted >= 300 and len(missed) <= 0.01 * planted, missed
    assert len(misread) <= 0.15 * related, misread
    assert not guessed, misread


def test_correct_claims_are_not_accused(accused):
    count, names = accused
    assert count >= 300
    assert not names, "\n\n".join(names)


def test_the_guide_quotes_these_figures(wrong, accused, capsys):
    planted, missed, related, misread = wrong
    figures = (f"{planted - len(missed)} of {planted} planted mistakes caught",
               f"{related - len(misread)} of {related} with a simple relation diagnosed rightly",
               f"{len(accused[1])} of {accused[0]} correct claims accused")
    with capsys.disabled():
        print("\n" + "\n".join(figures))
    text = GUIDE.read_text(encoding="utf-8")
    assert all(figure in text for figure in figures), f"docs/check.md should say: {'; '.join(figures)}"


def test_the_checker_works_on_the_stand_in_for_cupy():
    """One problem of each kind, on arrays that refuse to become NumPy's by themselves."""
    with mg.use("strict"):
        planted, missed, _, misread = score_wrong([5])
        assert planted > 150 and not missed and len(misread) <= 0.15 * planted, (missed, misread)
        accused = [name for name, run in right_cases([5]) if not run().ok]
        assert not accused
