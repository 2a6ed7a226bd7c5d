"""Files of claims."""
import json
import math

import numpy as np
import pytest

from minigen import check
from minigen.check.claims import result_of

FILE = '''
import numpy as np
import minigen as mg
from minigen import check

@check.claim
def softplus():
    """d/dx log(1 + eˣ) = σ(x)"""
    return check.gradient(lambda x: mg.softplus(x).sum(), [0.5, -1.0], claimed=lambda x: mg.sigmoid(x))

@check.claim
def doubled():
    """two arrays"""
    return 2 * np.arange(3.0), np.arange(3.0)

@check.claim
def plain():
    return 1 + 1 == 2

@check.claim
def false():
    return False

@check.claim
def shapes():
    return np.ones((2, 1)), np.ones(2)

@check.claim
def crashes():
    raise RuntimeError("oh no")

@check.claim
def odd():
    return "yes"

def no_claim():
    raise AssertionError("never called")
'''


def test_a_file_of_claims(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(FILE, encoding="utf-8")
    results = {r.name: r for r in check.run_file(path)}
    assert [r.verdict for r in results.values()] == ["holds", "fails", "holds", "fails", "fails", "fails", "fails"]
    assert "2 times ours" in str(results["doubled"].report) and "wrong shape" in str(results["shapes"].report)
    assert "RuntimeError: oh no" in str(results["crashes"].report) and "got str" in str(results["odd"].report)
    text = check.table(results.values())
    assert "2 of 7 hold" in text and "softplus" in text and "RuntimeError" in text


def test_results_are_json():
    for error in (1e-9, math.nan, math.inf):
        report = check.Report("r")
        report.add("x", "holds", error, 1e-6)
        entry = json.loads(json.dumps(result_of("name", report).as_dict(), allow_nan=False))
        assert set(entry) == {"name", "error", "tolerance",
                              "verdict"} and entry["verdict"] == ("holds" if error < 1 else "fails")
    assert result_of("empty", check.Report("r")).as_dict() == {"name": "empty", "error": 0.0, "tolerance": 0.0,
                                                               "verdict": "holds"}


@pytest.mark.parametrize("text, kind, message",
                         [(None, FileNotFoundError, "there is no file"),
                          ("x = 1", ValueError, "mine.py holds no claim"),
                                                 ("import nowhere", ValueError,
                                                  "mine.py does not run: ModuleNotFoundError"),
                          ("raise SystemExit", ValueError, "does not run")])
def test_files_that_cannot_be_used(tmp_path, text, kind, message):
    path = tmp_path / "mine.py"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    with pytest.raises(kind, match=message):
        check.run_file(path)


def test_numbers_in_a_pair_may_be_imprecise():
    from minigen.check.claims import _run
    assert _run(lambda: (np.float32([0.1, 1e-9]), np.array([0.1, 0.0]))).verdict == "holds"
