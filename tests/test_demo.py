"""Demo: the options, the result file, and one line for every failure. The demo of the VAE itself runs with --smoke."""
import dataclasses
import json
import os
import pathlib
import subprocess
import sys

import pytest

import minigen as mg
from minigen.demo import Demo

HOUSE = pathlib.Path(mg.__file__).parents[1]
PICTURES = ["arithmetic", "curve", "interpolation", "latent_map", "reconstructions", "samples", "traversal"]


def failing(capsys, body=lambda demo: None, argv=()):
    """(status, stderr) of a demo that must fail."""
    with pytest.raises(SystemExit) as stopped:
        with Demo("toy", "A toy.", list(map(str, argv))) as demo:
            body(demo)
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1 and captured.err.endswith("\n") and captured.out == ""
    return stopped.value.code, captured.err


def raiser(error):
    def body(demo):
        raise error
    return body


# ---- what it gives ---------------------------------------------------------------------------------------------------
def test_defaults(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with Demo("toy", "A toy.", []) as demo:
        assert (demo.smoke, demo.seed, demo.data, demo.out) == (False, 0, None, pathlib.Path("out/toy"))
        assert demo.path("a.png") == pathlib.Path("out/toy/a.png")
    assert os.path.isfile("out/toy/result.json")


def test_options(tmp_path):
    argv = ["--smoke", "--seed", "7", "--out", str(tmp_path / "o"), "--backend", "numpy", "--data", str(tmp_path)]
    with Demo("toy", "A toy.", argv) as demo:
        assert (demo.smoke, demo.seed, demo.data, demo.out) == (True, 7, tmp_path, tmp_path / "o")


def test_full_is_an_option_of_demos_that_have_more_to_run(tmp_path, capsys):
    for argv, full in (([], False), (["--full"], True)):
        with Demo("toy", "A toy.", ["--out", str(tmp_path), *argv], full="an hour") as demo:
            assert demo.full is full
    capsys.readouterr()
    status, line = failing(capsys, argv=["--full", "--out", tmp_path])
    assert status == 2 and line.startswith("toy.py: unrecognized arguments: --full")


def test_result_json_and_what_is_printed(tmp_path, capsys):
    with Demo("toy", "A toy.", ["--out", str(tmp_path), "--seed", "3"]) as demo:
        demo.metric("test_elbo", mg.tensor(-103.25), "nats")
        demo.metric("fid", 4, "1")
        demo.path("one.png")
    result = json.loads((tmp_path / "result.json").read_text())
    assert list(result) == ["name", "seed", "seconds", "metrics"] and result["seconds"] >= 0
    assert (result["name"], result["seed"]) == ("toy", 3)
    assert result["metrics"] == {"test_elbo": {"value": -103.25, "unit": "nats"}, "fid": {"value": 4.0, "unit": "1"}}
    out = capsys.readouterr().out
    assert "test_elbo" in out and "-103.2500 nats" in out and f"1 pictures and result.json in {tmp_path}" in out
    assert sorted(p.name for p in tmp_path.iterdir()) == ["result.json"]


def test_the_backend_holds_inside_only(tmp_path, backend):
    with Demo("toy", "A toy.", ["--out", str(tmp_path), "--backend", "numpy"]):
        assert mg.backend.current().name == "numpy"
    assert mg.backend.current().name == backend


def test_a_model_is_trained_or_that_of_a_run(tmp_path):
    run = tmp_path / "run"
    mg.recipes.get("vae").trainer(run, progress=False).run(2)
    short = dataclasses.replace(mg.recipes.get("vae"), steps=3)
    with Demo("toy", "A toy.", ["--smoke", "--out", str(tmp_path / "o")], recipe="vae") as demo:
        model, history = demo.trained(short)
        assert not model.training and [line["step"] for line in history] == [1, 2, 3]
    with Demo("toy", "A toy.", ["--model", str(run), "--out", str(tmp_path / "o")], recipe="vae") as demo:
        model, history = demo.trained(short)
        saved = mg.recipes.open_run(run).model.state_dict()
        assert all((saved[name] == array).all() for name, array in model.state_dict().items())
        assert [line["step"] for line in history] == [2]


def test_a_run_of_another_model_is_told(tmp_path, capsys):
    mg.recipes.get("vae").trainer(tmp_path / "run", progress=False).run(1)
    with pytest.raises(SystemExit), Demo("toy", "A toy.", ["--model", str(tmp_path / "run"), "--out", str(tmp_path)],
                                         recipe="ddpm") as demo:
        demo.trained(None)
    assert "holds a VAE (recipe 'vae'); this demo shows a DDPM, such as 'ddpm' trains" in capsys.readouterr().err


# ---- failures --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("argv, message", [
    (["--backend", "nunpy"], "toy: no backend is called 'nunpy'; did you mean 'numpy'?"),
    (["--seed", "-1"], "toy.py: argument --seed: must be at least 0, got -1"),
    (["--seed", "x"], "toy.py: argument --seed: wants an integer, got 'x'"),
    (["--data", "/no/such/folder"], "toy.py: argument --data: there is no folder '/no/such/folder'"),
    (["--smok", "--sead", "1"], "toy.py: unrecognized arguments: --sead 1; did you mean '--seed'?"),
    (["--out"], "toy.py: argument --out: expected one argument"),
])
def test_bad_options(capsys, argv, message):
    status, line = failing(capsys, argv=argv)
    assert line.startswith(message) and status == (1 if argv[0] == "--backend" else 2)


def test_an_out_that_cannot_be_written(tmp_path, capsys, monkeypatch):
    (tmp_path / "file").write_text("")
    for out, why in ((tmp_path / "file", "File exists"), (tmp_path / "file" / "below", "Not a directory")):
        status, line = failing(capsys, argv=["--out", out])
        assert (status, line) == (1, f"toy: cannot write in the folder {out} ({why}); choose another\n")

    def refuse(dir):
        raise PermissionError(13, "Permission denied", dir)

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    status, line = failing(capsys, argv=["--out", tmp_path])
    assert (status, line) == (1, f"toy: cannot write in the folder {tmp_path} (Permission denied); choose another\n")


@pytest.mark.parametrize("error, status, line", [
    (ValueError("first\n   second"), 1, "toy: first second"),
    (OSError(28, "No space left on device", "a.png"), 1, "toy: a.png: No space left on device"),
    (OSError(28, "No space left on device"), 1, "toy: No space left on device"),
    (FloatingPointError("diverged"), 1, "toy: diverged"),
    (KeyError("x"), 1, "toy: KeyError: 'x' (MINIGEN_TRACEBACK=1 shows where)"),
    (MemoryError(), 1, "toy: MemoryError: (MINIGEN_TRACEBACK=1 shows where)"),
    (KeyboardInterrupt(), 130, "toy: stopped"),
    (KeyboardInterrupt("stopped after step 3"), 130, "toy: stopped after step 3"),
])
def test_a_failure_is_one_line_and_a_status(tmp_path, capsys, error, status, line):
    before = mg.backend.current().name
    assert failing(capsys, raiser(error), ["--out", tmp_path]) == (status, line + "\n")
    assert not (tmp_path / "result.json").exists() and mg.backend.current().name == before


def test_the_traceback_can_be_had(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("MINIGEN_TRACEBACK", "1")
    with pytest.raises(SystemExit), Demo("toy", "A toy.", ["--out", str(tmp_path)]):
        raise ValueError("here")
    err = capsys.readouterr().err
    assert "Traceback" in err and __file__ in err and err.endswith("toy: here\n")


def test_a_metric_that_is_not_finite_fails_the_demo(tmp_path, capsys):
    status, line = failing(capsys, lambda demo: demo.metric("elbo", float("nan"), "nats"), ["--out", tmp_path])
    assert (status, line) == (1, "toy: the metric elbo is nan; the run has failed\n")


# ---- the demo of the VAE ---------------------------------------------------------------------------------------------
def run_vae(*options):
    """demos/vae.py --smoke in a process of its own."""
    return subprocess.run([sys.executable, HOUSE / "demos" / "vae.py", "--smoke", *options], capture_output=True,
                          text=True, env={**os.environ, "PYTHONPATH": str(HOUSE)})


def test_the_vae_demo_draws_every_picture(tmp_path):
    out = tmp_path / "out"
    done = run_vae("--seed", "1", "--out", out)
    assert done.returncode == 0, done.stderr
    assert sorted(p.name for p in out.iterdir()) == sorted([f"{name}.png" for name in PICTURES] + ["result.json"])
    for name in PICTURES:
        assert (out / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    result = json.loads((out / "result.json").read_text())
    assert (result["name"], result["seed"]) == ("vae", 1) and result["seconds"] > 0
    assert set(result["metrics"]) == {"test_elbo", "test_rate", "test_iwae_5"}
    for figure in result["metrics"].values():
        assert set(figure) == {"value", "unit"} and figure["unit"] == "nats"
    assert -260 < result["metrics"]["test_elbo"]["value"] < result["metrics"]["test_iwae_5"]["value"] < -100
    assert "7 pictures and result.json" in done.stdout and "Traceback" not in done.stderr


def test_the_vae_demo_refuses_a_folder_without_data(tmp_path):
    done = run_vae("--out", tmp_path / "out", "--data", tmp_path)
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert done.stderr.startswith(f"vae: {tmp_path}: holds no pair t10k-images-idx3-ubyte")
