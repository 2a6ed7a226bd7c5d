"""Two sides must compute the same thing, and what a worker says can be used."""
import json
import pathlib
import sys
import time

import pytest
import run
import sides

READY = {"parameters": 10, "loss": 100.0, "ms": 1.0, "ops": 1}


@pytest.mark.parametrize("change", [{"loss": 100.02}, {"loss": float("nan")}, {"parameters": 11}])
def test_sides_that_differ_are_refused(change):
    with pytest.raises(SystemExit, match=r"bench: vae_mlp differs: minigen has 10 parameters .* PyTorch 1[01]"):
        sides.agree("vae_mlp", READY, {**READY, **change}, "PyTorch")


def test_sides_that_agree_to_1e_4_pass():
    assert sides.agree("vae_mlp", READY, {**READY, "loss": 100.009}, "PyTorch") is None


def test_a_series_takes_its_settings_to_the_worker():
    losses = {}
    for depth in (10, 1000):
        side = sides.Side("minigen", "chain", 1, {"depth": depth})
        losses[depth] = side.ready["loss"]
        side.close()
    want = {depth: sum((-1) ** (depth // 2) * x ** (depth // 2 + 1) for x in (0.9999, 1, 1.0001, 1.0002))
            for depth in losses}
    assert losses == pytest.approx(want, rel=1e-5)


def test_minigen_is_loaded_before_numpy_as_its_levers_ask():
    side = sides.Side("minigen", "tiny_ops", 1)
    side.close()
    assert side.ready["levers"] and not any(found.startswith("too late") for found in side.ready["levers"].values())


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_side_is_stopped_while_it_is_not_its_turn():
    side = sides.Side("minigen", "chain", 1, {"depth": 10})
    state = pathlib.Path(f"/proc/{side.process.pid}/stat")
    deadline = time.monotonic() + 5
    while state.read_text().rpartition(")")[2].split()[0] != "T" and time.monotonic() < deadline:
        time.sleep(0.01)
    assert state.read_text().rpartition(")")[2].split()[0] == "T"
    assert side.ask(steps=3)["ms"] > 0
    side.close()
    assert side.process.returncode == 0


def test_one_row_end_to_end(capsys):
    assert run.main(["--only", "tiny_ops", "--json", "--turns", "2", "--seconds", "0.02", "--threads", "1"]) == 0
    row, = json.loads(capsys.readouterr().out)
    assert row["workload"] == "tiny_ops" and 0 < row["minigen_ms"] < 1           # of one op
    if "torch_ms" in row:
        assert row["ratio"] == pytest.approx(row["minigen_ms"] / row["torch_ms"])


def test_an_unknown_name_is_told(capsys):
    with pytest.raises(SystemExit):
        run.main(["--scaling", "--only", "vae_mlp"])
    assert "'vae_mlp' is none of batch, width, side, depth" in capsys.readouterr().err


def test_import_times_are_of_fresh_processes():
    times = sides.import_times(["json", "minigen"], turns=1)
    assert 0 < times["json"] < times["minigen"]
