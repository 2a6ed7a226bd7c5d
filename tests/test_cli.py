"""The command line as a person meets it: what is printed, what is written, and one clear line for every mistake."""
import dataclasses
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import minigen as mg
from minigen import cli, data, recipes
from minigen.training import Adam, Trainer

HOUSE = pathlib.Path(mg.__file__).parents[1]
NAMES = recipes.names()                    # all of them, before the fixture below keeps two


@pytest.fixture(autouse=True)
def small_register(monkeypatch):
    """The recipes as they are, but with few images and importance samples."""
    def small(full):
        return dataclasses.replace(full, dataset=lambda split, folder: full.dataset(split, folder)[:128], batch_size=64,
                                   evaluate_model=recipes.evaluate_bounds(2))

    monkeypatch.setattr(recipes, "_ALL", tuple(small(recipes.get(name)) for name in ("vae", "vae-mnist")))


@pytest.fixture
def minigen(capsys):
    """Run a command in this process: (status, stdout, stderr)."""
    def run(*argv):
        try:
            status = cli.main([str(a) for a in argv])
        except SystemExit as stopped:                              # argparse
            status = stopped.code
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


@pytest.fixture
def fails(minigen):
    """Run a command that must fail with one line, which is returned without the newline."""
    def run(*argv, status=1):
        got, out, err = minigen(*argv)
        assert got == status and out == "", (got, out, err)
        assert err.count("\n") == 1 and err.endswith("\n") and err.startswith("minigen"), err
        return err[:-1]

    return run


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """A folder with a run of ``vae``, 20 steps; copy it before you change it."""
    out = tmp_path_factory.mktemp("runs") / "vae"
    assert process("train", "vae", "--out", out, "--steps", "20", "--json")[0] == 0
    return out


@pytest.fixture
def run_folder(trained, tmp_path):
    """A copy of the trained run."""
    return shutil.copytree(trained, tmp_path / "vae")


def start(*arguments):
    """Start Python in a process of its own, where nothing is made small."""
    return subprocess.Popen([sys.executable, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            text=True, env={**os.environ, "PYTHONPATH": str(HOUSE)})


def process(*argv):
    """Run a command in a process of its own: (status, stdout, stderr)."""
    with start("-m", "minigen", *argv) as running:
        out, err = running.communicate()
    return running.returncode, out, err


# ---- doctor, list, help ----------------------------------------------------------------------------------------------
def test_doctor(minigen):
    status, out, err = minigen("doctor")
    facts = json.loads(minigen("doctor", "--json")[1])
    assert (status, err) == (0, "") and len(out.splitlines()) == len(facts)
    assert facts["NumPy"] == np.__version__ and all(f"{name} " in out for name in facts)


def test_list(minigen):
    status, out, err = minigen("list")
    rows = json.loads(minigen("list", "--json")[1])
    assert (status, err) == (0, "") and [row["name"] for row in rows] == recipes.names()
    assert all(row["name"] in out and row["summary"] in out for row in rows)
    published = next(row for row in rows if row["name"] == "vae-mnist")["targets"][0]
    assert (published["metric"], published["value"]) == ("test_elbo", -106.64)
    assert "published test_elbo -106.64 nats" in out


@pytest.mark.parametrize("command", ["", "doctor", "list", "train", "sample", "evaluate", "check"])
def test_help(minigen, command):
    status, out, err = minigen(*command.split(), "--help")
    assert (status, err) == (0, "") and out.startswith(f"usage: minigen {command}")
    assert minigen("--version") == (0, f"minigen {mg.__version__}\n", "")


# ---- train, sample, evaluate -----------------------------------------------------------------------------------------
def test_train_resume_sample_evaluate(minigen, tmp_path):
    out = tmp_path / "runs" / "vae"
    status, told, err = minigen("train", "vae", "--out", out, "--steps", 5)
    assert status == 0 and "Traceback" not in err
    assert told == f"vae: 5 steps done\nsaved in {out}; next: minigen evaluate {out}; minigen sample {out}\n"
    assert {"checkpoint.mgc", "log.jsonl"} == {p.name for p in out.iterdir()}

    status, told, err = minigen("train", "vae", "--out", out, "--steps", 9, "--json")
    last = json.loads(told)
    assert (last["step"], last["new_steps"], last["recipe"], last["out"]) == (9, 4, "vae", str(out))
    assert last["loss"] > 0
    assert err == f"minigen train: going on after step 5 of 9 in {out}\n"

    status, told, err = minigen("train", "vae", "--out", out, "--steps", 9)
    assert status == 0 and told.startswith("vae: all 9 steps were done already; train on with --steps\n")
    assert json.loads(minigen("train", "vae", "--out", out, "--steps", 9, "--json")[1])["new_steps"] == 0

    status, told, err = minigen("sample", out, "-n", 10, "--seed", 1)
    picture = (out / "samples.png").read_bytes()
    assert (status, told, err) == (0, f"10 samples in {out / 'samples.png'}\n", "") and picture.startswith(b"\x89PNG")
    told = json.loads(minigen("sample", out, "-n", 10, "--seed", 1, "--json")[1])
    assert told == {"picture": str(out / "samples.png"), "n": 10} and (out / "samples.png").read_bytes() == picture
    minigen("sample", out, "-n", 10, "--seed", 2)
    assert (out / "samples.png").read_bytes() != picture

    status, told, err = minigen("evaluate", out, "--json")
    result = json.loads(told)
    assert status == 0 and json.loads((out / "result.json").read_text()) == result
    assert (result["name"], result["seed"], result["steps"]) == ("vae", 0, 9) and result["seconds"] > 0
    assert set(result["metrics"]) == {"test_elbo", "test_rate", "test_iwae_2"}
    status, told, err = minigen("evaluate", out)
    assert [line.split()[0] for line in told.splitlines()] == list(result["metrics"]) and told.count("nats") == 3


def test_the_same_command_gives_the_same_bits(minigen, tmp_path):
    for name in ("a", "b"):
        minigen("train", "vae", "--out", tmp_path / name, "--steps", 3, "--seed", 4, "--json")
    a, b = (recipes.open_run(tmp_path / name).model.state_dict() for name in ("a", "b"))
    assert all(np.array_equal(a[name], b[name]) for name in a)


def test_a_folder_of_data_is_used_and_remembered(minigen, tmp_path, fails):
    folder = tmp_path / "mnist"
    folder.mkdir()
    for split, prefix in (("train", "train"), ("test", "t10k")):
        digits = data.digits(split)[:100]
        data.write_idx(folder / f"{prefix}-images-idx3-ubyte", digits["x"][..., 0])
        data.write_idx(folder / f"{prefix}-labels-idx1-ubyte", digits["y"].astype(np.uint8))
    out = tmp_path / "run"
    assert minigen("train", "vae-mnist", "--out", out, "--steps", 2, "--data", folder, "--json")[0] == 0
    told = minigen("evaluate", out)[1]
    assert "published -106.64" in told and recipes.open_run(out).folder == str(folder)
    shutil.rmtree(folder)
    assert str(folder) in fails("evaluate", out)


# ---- check -----------------------------------------------------------------------------------------------------------
CLAIMS = '''
import minigen as mg
from minigen import check

print("the file speaks")

@check.claim
def product():
    """d/dx x² = {factor} x"""
    return check.gradient(lambda x: mg.sum(x * x), [1.0, 2.0], claimed=lambda x: {factor} * x)
'''


def test_check_those_named(minigen):
    status, out, err = minigen("check", "gaussian-kl-vae", "trace-trick")
    assert status == 0 and "2 of 2 hold" in out
    assert [line.split()[0] for line in out.splitlines()[1:3]] == ["gaussian-kl-vae", "trace-trick"]
    status, out, err = minigen("check", "trace-trick", "--json")
    row, = json.loads(out)
    assert (status, err) == (0, "") and list(row) == ["name", "error", "tolerance", "verdict"]
    assert row["name"] == "trace-trick" and row["verdict"] == "holds" and row["error"] <= row["tolerance"]


def test_check_all(minigen, monkeypatch):
    monkeypatch.setattr("minigen.check.derivations.names", lambda: ["trace-trick", "bayes-rule"])
    status, out, err = minigen("check", "--json")
    assert status == 0 and [row["name"] for row in json.loads(out)] == ["trace-trick", "bayes-rule"]


def test_check_list(minigen):
    rows = json.loads(minigen("check", "--list", "--json")[1])
    status, out, err = minigen("check", "--list")
    assert (status, err) == (0, "") and len(rows) > 20
    assert all(list(row) == ["name", "formula", "source"] and all(row.values()) for row in rows)
    assert all(row["name"] in out and row["formula"] in out for row in rows)
    assert json.loads(minigen("check", "--list", rows[3]["name"], "--json")[1]) == [rows[3]]


def test_check_a_file_of_claims(minigen, tmp_path):
    right, wrong = tmp_path / "right.py", tmp_path / "wrong.py"
    right.write_text(CLAIMS.format(factor=2))
    wrong.write_text(CLAIMS.format(factor=1))
    status, out, err = minigen("check", right, "--json")
    assert status == 0 and [row["name"] for row in json.loads(out)] == ["product"] and err == "the file speaks\n"
    status, out, err = minigen("check", "trace-trick", wrong)
    assert status == 1 and "1 of 2 hold" in out and "the file speaks" in out
    assert [row["verdict"] for row in json.loads(minigen("check", wrong, right, "--json")[1])] == ["fails", "holds"]


def test_check_refuses(fails, tmp_path):
    line = fails("check", "trace-trick", "gausian-kl-vae")
    assert line == "minigen check: no derivation is called 'gausian-kl-vae'; did you mean 'gaussian-kl-vae'?"
    assert "there is no file nowhere.py" in fails("check", "nowhere.py", "--json")
    (tmp_path / "broken.py").write_text("import nothing_of_this_name")
    assert "broken.py does not run: ModuleNotFoundError" in fails("check", tmp_path / "broken.py", "--json")


# ---- mistakes in the command -----------------------------------------------------------------------------------------
@pytest.mark.parametrize("argv, line", [
    ("", "minigen: the following arguments are required: command"),
    ("trian vae", "minigen: argument command: invalid choice: 'trian'; did you mean 'train'?"),
    ("zzz", "minigen: argument command: invalid choice: 'zzz'; known: doctor, list, train, sample, evaluate, check"),
    ("train", "minigen train: the following arguments are required: recipe, --out"),
    ("train vae", "minigen train: the following arguments are required: --out"),
    ("train vae --out o --setps 3", "minigen: unrecognized arguments: --setps 3; did you mean '--steps'?"),
    ("train vae --out o --steps 0", "minigen train: argument --steps: must be at least 1, got 0"),
    ("train vae --out o --steps 1e3", "minigen train: argument --steps: wants an integer, got '1e3'"),
    ("train vae --out o --seed -1", "minigen train: argument --seed: must be at least 0, got -1"),
    ("train vae --out o --data nowhere", "minigen train: argument --data: there is no folder 'nowhere'"),
    ("sample o -n 0", "minigen sample: argument -n: must be at least 1, got 0"),
    ("sample o --jsn", "minigen: unrecognized arguments: --jsn; did you mean '--json'?"),
    ("sample", "minigen sample: the following arguments are required: out"),
    ("list everything", "minigen: unrecognized arguments: everything"),
])
def test_a_bad_command_is_one_line(fails, argv, line):
    assert fails(*argv.split(), status=2) == line


@pytest.mark.parametrize("argv, line", [
    ("train vea", "minigen train: no recipe is called 'vea'; did you mean 'vae'? Known: vae, vae-mnist"),
    ("train vae --backend nunpy", "minigen train: no backend is called 'nunpy'; did you mean 'numpy'?"),
])
def test_a_bad_name_suggests_the_nearest(fails, tmp_path, argv, line):
    assert fails(*argv.split(), "--out", tmp_path / "o").startswith(line)
    assert not (tmp_path / "o").exists()


# ---- mistakes with folders -------------------------------------------------------------------------------------------
@pytest.mark.parametrize("command", ["sample", "evaluate"])
def test_a_folder_without_a_run(fails, tmp_path, command):
    assert fails(command, tmp_path) == (f"minigen {command}: there is no run in {tmp_path}: it has no checkpoint.mgc; "
                                        f"train one with minigen train vae --out {tmp_path}")
    (tmp_path / "file").write_text("")
    for wrong in (tmp_path / "nowhere", tmp_path / "file"):
        assert fails(command, wrong).startswith(f"minigen {command}: there is no run in {wrong}: it is no folder; ")


@pytest.mark.parametrize("command", ["sample", "evaluate", "train vae --out"])
@pytest.mark.parametrize("damage, reason", [
    (lambda content: content[:len(content) // 2], "truncated"), (lambda content: content[:10], "truncated"),
    (lambda content: b"", "the file is empty"), (lambda content: b"PK" + content, "not a minigen checkpoint"),
    (lambda content: content[:-9] + b"123456789", "corrupt")], ids=["half", "start", "empty", "zip", "altered"])
def test_a_damaged_checkpoint(fails, run_folder, command, damage, reason):
    path = run_folder / "checkpoint.mgc"
    path.write_bytes(damage(path.read_bytes()))
    line = fails(*command.split(), run_folder)
    assert line.startswith(f"minigen {command.split()[0]}: {path}: ") and reason in line


def test_a_run_of_another_recipe(fails, run_folder):
    assert fails("train", "vae-mnist", "--out", run_folder) == (
        f"minigen train: {run_folder} holds a run of 'vae', not of 'vae-mnist'; choose another folder")


def test_a_run_of_no_recipe(fails, tmp_path):
    recipe = recipes.get("vae")
    model = recipe.build(mg.random.default_rng(0))
    Trainer(model, Adam(list(model.parameters())), recipe.loader(), out=tmp_path, progress=False).run(1)
    for argv in (["sample", tmp_path], ["evaluate", tmp_path], ["train", "vae", "--out", tmp_path]):
        assert f"the run in {tmp_path} was not made by a recipe" in fails(*argv)


def test_fewer_steps_than_done(fails, minigen, tmp_path):
    minigen("train", "vae", "--out", tmp_path, "--steps", 3, "--json")
    assert fails("train", "vae", "--out", tmp_path, "--steps", 2) == (
        f"minigen train: {tmp_path} holds 3 steps already, more than 2; ask for more with --steps, or choose another "
        "--out")


def test_another_seed_than_before(fails, minigen, tmp_path):
    minigen("train", "vae", "--out", tmp_path, "--steps", 1, "--json")
    line = fails("train", "vae", "--out", tmp_path, "--steps", 2, "--seed", 1)
    assert str(tmp_path) in line and "seed = 0" in line


def test_an_out_that_cannot_be_a_folder(fails, tmp_path):
    (tmp_path / "file").write_text("")
    assert str(tmp_path / "file") in fails("train", "vae", "--out", tmp_path / "file", "--steps", 1)
    assert str(tmp_path / "file") in fails("train", "vae", "--out", tmp_path / "file" / "below", "--steps", 1)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_is_read_only(fails, run_folder):
    run_folder.chmod(0o500)
    for argv in (["sample", run_folder], ["evaluate", run_folder], ["train", "vae", "--out", run_folder]):
        assert "Permission denied" in fails(*argv)
    run_folder.chmod(0o700)


@pytest.mark.parametrize("command", ["sample", "evaluate"])
def test_a_folder_that_refuses_files_is_found_out_before_the_work(fails, run_folder, monkeypatch, command):
    def refuse(dir):
        raise PermissionError(13, "Permission denied", dir)

    def work(*args, **settings):
        raise AssertionError("worked for nothing")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    monkeypatch.setattr(recipes.Recipe, "evaluate", work)
    assert fails(command, run_folder) == (
        f"minigen {command}: cannot write in the folder {run_folder} (Permission denied); choose another")


# ---- interruptions ---------------------------------------------------------------------------------------------------
def test_ctrl_c_in_the_middle_of_work(fails, run_folder, monkeypatch):
    def interrupted(*args, **settings):
        raise KeyboardInterrupt

    monkeypatch.setattr(recipes.Recipe, "evaluate", interrupted)
    assert fails("evaluate", run_folder, status=130) == "minigen evaluate: stopped"


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT")
def test_ctrl_c_saves_the_run_and_the_same_command_goes_on(tmp_path, minigen):
    out = tmp_path / "run"
    running = start("-c", "import signal, sys; from minigen.cli import main; "
                    "signal.signal(signal.SIGINT, signal.default_int_handler); "            # in case we run with it off
                    f"sys.exit(main(['train', 'vae', '--out', {str(out)!r}, '--json']))")
    deadline = time.monotonic() + 60
    while not (out / "log.jsonl").exists() and time.monotonic() < deadline:          # made after the first checkpoint
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    told, err = running.communicate(timeout=60)
    assert running.returncode == 130 and told == "" and "Traceback" not in err
    assert err.splitlines()[-1].startswith("minigen train: stopped at step ") and str(out) in err.splitlines()[-1]
    step = recipes.open_run(out).step
    assert 0 < step < recipes.get("vae").steps and f"stopped at step {step} of {recipes.get('vae').steps}" in err


def test_a_reader_that_goes_away_early():
    with start("-m", "minigen", "list") as running:
        running.stdout.close()                                     # long before it prints
        assert running.stderr.read() == "" and running.wait() == 1


# ---- in a process of its own -----------------------------------------------------------------------------------------
def test_python_m_minigen():
    status, out, err = process("list", "--json")
    assert (status, err) == (0, "") and [row["name"] for row in json.loads(out)] == NAMES
    status, out, err = process("train", "vea", "--out", "nowhere")
    assert (status, out, err.count("\n")) == (1, "", 1) and "did you mean 'vae'" in err


def test_json_is_all_there_is_on_stdout(trained, tmp_path):
    status, out, err = process("sample", shutil.copytree(trained, tmp_path / "run"), "--json")
    assert (status, err) == (0, "") and json.loads(out)["n"] == 64
