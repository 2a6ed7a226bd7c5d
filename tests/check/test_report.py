"""Reports: what they say, in a terminal, a notebook, a picture, and to a program."""
import numpy as np
import pytest

from minigen.check import CheckFailed, Diagnosis, Report
from minigen.check.report import Element


def failing():
    report = Report("gradient of f")
    report.add("w", "ours = differences", 1e-12, 1e-6, "3 elements")
    report.add("bias", "yours = ours", 1.0, 1e-7, "2 elements", Diagnosis("factor", "yours is 2 times ours everywhere"),
               [Element((0,), 2.0, 1.0, 1.0), Element((1,), 4.0, 2.0, 2.0)], np.array([1e7, 2e7]))
    report.note("w[0] is at a kink")
    report.values["total"] = 1.25
    return report


def test_text_is_aligned_and_complete():
    text = str(failing())
    lines = text.splitlines()
    assert lines[0] == "gradient of f: FAILS"
    assert lines[1].startswith("  ✓  w ") and lines[2].startswith("  ✗  bias ")
    assert lines[1].index("error") == lines[2].index("error")
    assert "yours is 2 times ours everywhere" in text and "[1]" in text and "numeric" in text
    assert "total = 1.25" in text and "note: w[0] is at a kink" in text
    assert repr(failing()) == text


def test_truth_and_raising():
    report = failing()
    assert not report and not report.ok and report.verdict == "fails" and report.worst.subject == "bias"
    with pytest.raises(CheckFailed, match="2 times ours"):
        report.raise_if_failed()
    sound = Report("nothing")
    assert sound and sound.raise_if_failed() is sound and sound.verdict == "holds" and sound.worst is None
    assert issubclass(CheckFailed, AssertionError)


def test_not_knowing_is_not_holding():
    report = Report("integral")
    report.add("p", "∫ p = 1", np.nan, 0.0, "", Diagnosis("inconclusive", "found nothing"))
    assert not report.ok and "cannot tell" in str(report) and "  ?  p" in str(report)


def test_columns_that_are_empty_are_left_out():
    report = Report("r")
    report.add("x", "holds", 1.0, 0.0, elements=[Element((0,), None, 1.0, 2.0)])
    assert "yours" not in str(report) and "numeric" in str(report)


def test_worst_ignores_the_luck_of_the_draw():
    report = Report("r")
    report.add("a", "exact", 1e-9, 1e-6)
    report.add("b", "sampled", 0.9, 1.0, statistical=True)
    assert report.worst.subject == "a"
    report.add("c", "sampled too", 2.0, 1.0, statistical=True)
    assert report.worst.subject == "c"


def test_html_escapes_and_colours():
    page = failing()._repr_html_()
    assert "<table>" in page and "yours is 2 times ours everywhere" in page and "#cf222e" in page and "#1a7f37" in page
    report = Report("<script>")
    assert "<script>" not in report._repr_html_()


def test_including_another_report():
    whole = Report("whole")
    whole.include(failing(), "first ")
    assert [c.subject for c in whole.claims] == ["first w", "first bias"] and whole.findings[0].subject == "first bias"
    assert whole.values == {"first total": 1.25} and whole.notes == ["w[0] is at a kink"] and len(whole.pictures) == 1
    assert "yours is 2 times" in str(whole.findings[0])


def test_plot(tmp_path):
    report = failing()
    report.pictures.append(("curve", "order 1", np.array([1e-1, 1e-2]), np.array([1e-3, np.nan])))
    figure = report.plot(tmp_path / "check.png")
    assert (tmp_path / "check.png").stat().st_size > 5000 and len(figure.axes) >= 2
    with pytest.raises(ValueError, match="nothing to draw"):
        Report("empty").plot()


def test_maps_of_any_number_of_axes_are_drawn():
    for shape in ((), (4,), (2, 3), (2, 3, 4)):
        report = Report("r")
        report.pictures.append(("map", "wrong elements", np.ones(shape)))
        assert report.plot().axes
