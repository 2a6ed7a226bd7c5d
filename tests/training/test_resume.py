"""A run that is killed at any moment, and resumed, ends with the bits and the log of the one that was left alone."""
import os
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import minigen as mg
from minigen.training import Adam, Trainer, checkpoint, read_log
from training import toy_run

ROOT = pathlib.Path(__file__).resolve().parents[2]
STEPS = 60
SKIPPED = {"seconds", "log_bytes"}                   # the length of the log depends on the digits of the seconds


def flat(tree, where=""):
    """{path: bytes or value} of a checkpoint, without what clocks decide."""
    if isinstance(tree, (dict, list)):
        items = tree.items() if isinstance(tree, dict) else enumerate(tree)
        parts = [flat(child, f"{where}/{name}") for name, child in items if name not in SKIPPED]
        return {key: value for part in parts for key, value in part.items()}
    return {where: (tree.dtype.str, tree.shape, tree.tobytes()) if isinstance(tree, np.ndarray) else tree}


def ending(folder):
    """What a finished run left behind."""
    lines = [{key: value for key, value in line.items() if key != "seconds"} for line in read_log(folder / "log.jsonl")]
    return flat(checkpoint.load(folder / "checkpoint.mgc")), lines


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reference")
    toy_run.trainer(folder).run(STEPS)
    return ending(folder)


def start(folder, moment, **options):
    command = [sys.executable, toy_run.__file__, str(folder), str(STEPS), moment]
    return subprocess.Popen(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, **options)


def test_reference_is_a_real_run(reference):
    state, lines = reference
    assert [line["step"] for line in lines] == list(range(5, 61, 5))
    critic, generator = {"loss", "penalty", "lr", "grad_norm"}, {"loss", "lr", "grad_norm"}
    assert set(lines[0]) == {"step", "epoch", *(f"critic/{name}" for name in critic),
                             *(f"generator/{name}" for name in generator)}
    assert [line["step"] for line in lines if "validation/critic/loss" in line] == [15, 30, 45, 60]
    assert state["/step"] == STEPS and state["/model/calls"][2] == np.float32(STEPS).tobytes()
    assert state["/optimizers/generator/steps"] == STEPS // 2


@pytest.mark.parametrize("stops", [[1], [8], [3, 20, 21, 44, 59]])
def test_stopped_and_resumed(stops, reference, tmp_path):
    """In one process: stop after these steps, make everything anew, go on."""
    for steps in stops:
        trainer = toy_run.trainer(tmp_path, each_loss=stopping_after(steps - saved_step(tmp_path)))
        with pytest.raises(StopAt):
            trainer.run(STEPS)
    toy_run.trainer(tmp_path).run(STEPS)
    assert ending(tmp_path) == reference


class StopAt(Exception):
    pass


def stopping_after(calls):
    left = [calls]

    def each_loss():
        left[0] -= 1
        if left[0] < 0:
            raise StopAt
    return each_loss


def saved_step(folder):
    return checkpoint.load(folder / "checkpoint.mgc")["step"] if (folder / "checkpoint.mgc").exists() else 0


def test_killed_at_chosen_moments(reference, tmp_path):
    """SIGKILL in a step, before and after a rename, before a sync, after a line of the log; each resumes the last."""
    for moment in ["fsync:1", "rename:1", "loss:3", "renamed:3", "log:2", "loss:13", "fsync:5"]:
        assert start(tmp_path, moment).wait(timeout=120) == -signal.SIGKILL, moment
    toy_run.trainer(tmp_path).run(STEPS)
    assert ending(tmp_path) == reference


@pytest.mark.parametrize("seed", range(2))
def test_killed_at_random_moments(seed, reference, tmp_path):
    rng = np.random.default_rng(seed)
    path = tmp_path / "log.jsonl"
    for lines in (1, 3, 7):
        process = start(tmp_path, "pause:0.005")
        while process.poll() is None and (not path.exists() or path.read_bytes().count(b"\n") < lines):
            time.sleep(0.005)
        time.sleep(rng.uniform(0, 0.05))
        process.kill()
        process.wait(timeout=120)
    toy_run.trainer(tmp_path).run(STEPS)
    assert ending(tmp_path) == reference


def test_ctrl_c_saves_and_says_how_to_go_on(reference, tmp_path):
    process = start(tmp_path, "pause:0.02", stderr=subprocess.PIPE, text=True)
    path = tmp_path / "log.jsonl"
    while process.poll() is None and (not path.exists() or not path.read_bytes()):
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    error = process.communicate(timeout=120)[1]
    assert process.returncode == -signal.SIGINT                             # what a shell shows as status 130
    assert "stopping after this step; press Ctrl-C again" in error
    step = checkpoint.load(tmp_path / "checkpoint.mgc")["step"]
    assert 5 <= step < STEPS
    assert f"stopped after step {step} of 60; all is saved in {tmp_path}; give existing='resume' to go on" in error
    toy_run.trainer(tmp_path).run(STEPS)
    assert ending(tmp_path) == reference


def test_second_ctrl_c_stops_at_once(tmp_path):
    def twice():
        for _ in range(2):
            signal.raise_signal(signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt, match="stopped at once"):
        toy_run.trainer(tmp_path, each_loss=twice).run(STEPS)
    assert signal.getsignal(signal.SIGINT) is before
    assert checkpoint.load(tmp_path / "checkpoint.mgc")["step"] == 0


def test_ctrl_c_without_a_folder():
    once = iter([True])
    trainer = toy_run.trainer(None, each_loss=lambda: signal.raise_signal(signal.SIGINT) if next(once, False) else None)
    with pytest.raises(KeyboardInterrupt, match="stopped after step 1 of 60; nothing is saved without out="):
        trainer.run(STEPS)
    trainer.run(STEPS)                                                      # and it can go on in memory
    assert trainer.step == STEPS


# ---- what does not fit -----------------------------------------------------------------------------------------------
def test_existing_runs(tmp_path):
    toy_run.trainer(tmp_path).run(10)
    with pytest.raises(FileExistsError, match="already holds a run; give existing='resume'"):
        toy_run.trainer(tmp_path, existing="refuse")
    again = toy_run.trainer(tmp_path)
    assert again.step == 10 and again.run(10)["step"] == 10
    with pytest.raises(ValueError, match="run: 10 steps are done already, more than the 5 asked for"):
        again.run(5)
    anew = toy_run.trainer(tmp_path, existing="replace")
    assert anew.step == 0
    anew.run(5)
    assert len(read_log(tmp_path / "log.jsonl")) == 1 and saved_step(tmp_path) == 5


def test_other_arguments_are_refused(tmp_path):
    toy_run.trainer(tmp_path).run(10)
    with pytest.raises(ValueError, match=r"has seed = 1, this trainer 2; resume with the same arguments"):
        toy_run.trainer(tmp_path, seed=2)
    with pytest.raises(ValueError, match="has ema = True, this trainer False"):
        toy_run.trainer(tmp_path, ema=None)
    model = toy_run.ToyGAN()
    with pytest.raises(ValueError, match="has loader = True, this trainer False"):
        Trainer(model, Adam, lambda rng: {"x": rng.random((2, 3))}, seed=1, ema=0.9, out=tmp_path, existing="resume")


def test_shortened_and_deleted_logs(tmp_path):
    toy_run.trainer(tmp_path).run(10)
    log = tmp_path / "log.jsonl"
    log.write_bytes(log.read_bytes()[:-5])
    assert [line["step"] for line in read_log(log)] == [5]
    with pytest.raises(ValueError, match="restore it, or delete it to begin a new one"):
        toy_run.trainer(tmp_path).run(20)
    log.unlink()
    toy_run.trainer(tmp_path).run(20)
    assert [line["step"] for line in read_log(log)] == [15, 20]


def test_damaged_checkpoint(tmp_path):
    toy_run.trainer(tmp_path).run(5)
    path = tmp_path / "checkpoint.mgc"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(checkpoint.CheckpointError, match="checkpoint.mgc: truncated"):
        toy_run.trainer(tmp_path)


def test_same_seed_same_bits_and_folder_changes_nothing(reference):
    trainer = toy_run.trainer(None)
    trainer.run(STEPS)
    assert flat(trainer.state_dict()) == reference[0]
    with pytest.raises(ValueError, match="save: this Trainer has no folder"):
        trainer.save()


def test_training_does_not_depend_on_validation_or_logging(reference):
    trainer = toy_run.trainer(None, validate=None, log_every=60)
    trainer.run(STEPS)
    state = flat(trainer.state_dict())
    assert {key: value for key, value in reference[0].items() if key.startswith("/model")} == {
        key: value for key, value in state.items() if key.startswith("/model")}
    assert mg.is_recording()
