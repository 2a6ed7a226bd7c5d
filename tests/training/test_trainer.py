"""The loop: who moves when, what is logged, and how it stops."""
import contextlib
import io
import math

import numpy as np
import pytest
import strict

import minigen as mg
from minigen import nn
from minigen.data import Loader
from minigen.models.base import GenerativeModel, Objective
from minigen.training import EMA, SGD, Adam, Trainer, checkpoint, clip_grad_value, read_log

pytestmark = pytest.mark.usefixtures("backend")
XS = np.arange(24, dtype=np.float32).reshape(12, 2) / 10


class Mean(GenerativeModel):
    """Fits the mean of its data: loss ½ ‖x − μ‖², so the gradient is μ − mean(x)."""

    def __init__(self, terms=None):
        self.mu = nn.Parameter(mg.zeros(2))
        self.losses, self.modes, self.terms = 0, [], terms or (lambda step, loss: {})

    def loss(self, batch, rng):
        self.losses += 1
        self.modes.append(self.training)
        loss = 0.5 * mg.mean(mg.sum((batch["x"] - self.mu) ** 2, axis=-1))
        return {"loss": loss, **self.terms(self.losses, loss)}

    def objectives(self):
        return [Objective("fit", self.parameters(), self.loss)]


class Players(GenerativeModel):
    """Three objectives on one loss, to see who moves what and when."""

    def __init__(self):
        self.a, self.b, self.c = (nn.Parameter(mg.zeros(())) for _ in range(3))
        self.clips = 0

    def clip(self):
        self.clips += 1
        self.c[...] = mg.clip(self.c, -0.25, 0.25)

    def objectives(self):
        def loss(batch, rng):
            return {"loss": self.a + 2.0 * self.b + 3.0 * self.c}
        return [Objective("a", [self.a], loss), Objective("b", [self.b], loss, every=3),
                Objective("c", [self.c], loss, after=self.clip)]


def trainer(model, batch_size=4, **settings):
    loader = Loader({"x": XS}, batch_size, seed=0)
    return Trainer(model, SGD(model.parameters(), lr=0.1), loader, **{"progress": False, **settings})


# ---- steps -----------------------------------------------------------------------------------------------------------
def test_full_batch_descent_in_closed_form():
    """μₜ = (1 − (1 − η)ᵗ) x̄."""
    model = Mean()
    line = trainer(model, batch_size=12).run(steps=20)
    np.testing.assert_allclose(model.mu.numpy(), (1 - 0.9 ** 20) * XS.mean(axis=0), rtol=1e-5)
    assert line["step"] == 20 and line["epoch"] == 20.0 and set(line) == {"step", "epoch", "seconds", "loss", "lr"}


def test_each_objective_moves_its_own_parameters_in_its_own_steps():
    model = Players()
    makers = {"a": SGD([model.a], lr=1.0), "b": lambda p: SGD(p, lr=1.0, momentum=0.5), "c": lambda p: SGD(p, lr=1.0)}
    run = Trainer(model, makers, lambda rng: {}, log_every=7, progress=False)
    line = run.run(steps=7)
    assert model.a.item() == -7.0
    assert model.b.item() == -2.0 * (1 + 1.5)                               # steps 3 and 6
    assert model.c.item() == -0.25 and model.clips == 7
    assert line["epoch"] is None and line["a/lr"] == 1.0 and "b/loss" in line
    assert all(p.grad is None for p in model.parameters())


def test_one_maker_serves_all_objectives():
    model = Players()
    run = Trainer(model, lambda p: SGD(p, lr=0.5), lambda rng: {}, progress=False)
    run.run(steps=3)
    assert (model.a.item(), model.b.item()) == (-1.5, -1.0)


def test_every_example_once_an_epoch():
    seen = []
    model = Mean()
    model.terms = lambda step, loss: {}
    loss = model.loss
    model.loss = lambda batch, rng: (seen.append(batch["x"].numpy()), loss(batch, rng))[1]
    trainer(model, batch_size=5).run(steps=6)
    for epoch in (seen[:3], seen[3:]):
        np.testing.assert_array_equal(np.sort(np.concatenate(epoch), axis=0), XS)


def test_clipping():
    model = Mean()
    line = trainer(model, batch_size=12, clip=0.5).run(steps=1)
    assert line["grad_norm"] == pytest.approx(np.linalg.norm(XS.mean(axis=0)), rel=1e-5)
    assert np.linalg.norm(model.mu.numpy()) == pytest.approx(0.05, rel=1e-4)
    model = Mean()
    line = trainer(model, batch_size=12, clip=lambda parameters: clip_grad_value(parameters, 0.5)).run(steps=1)
    np.testing.assert_allclose(model.mu.numpy(), [0.05, 0.05], rtol=1e-5)
    assert "grad_norm" not in line


# ---- the log ---------------------------------------------------------------------------------------------------------
def test_lines_are_means_since_the_last(tmp_path):
    model = Mean(terms=lambda step, loss: {"count": step, "half": loss * 0.5})
    run = trainer(model, log_every=4, out=tmp_path)
    run.run(steps=10)
    lines = read_log(tmp_path / "log.jsonl")
    assert lines == run.history
    assert [line["step"] for line in lines] == [4, 8, 10]
    assert [line["count"] for line in lines] == [2.5, 6.5, 9.5]
    assert [line["epoch"] for line in lines] == pytest.approx([4 / 3, 8 / 3, 10 / 3], abs=1e-4)
    for line in lines:
        assert line["half"] == pytest.approx(line["loss"] / 2)
    assert lines[0]["seconds"] <= lines[1]["seconds"] <= lines[2]["seconds"]


def test_a_term_that_is_not_finite_is_null_in_the_log(tmp_path):
    trainer(Mean(terms=lambda step, loss: {"odd": math.inf}), out=tmp_path).run(steps=2)
    assert read_log(tmp_path / "log.jsonl")[0]["odd"] is None


def test_progress_bar(capsys):
    trainer(Mean(terms=lambda step, loss: {"rate": 7.0}), progress=True, log_every=1).run(steps=3)
    shown = capsys.readouterr().err
    assert "3/3" in shown and "step" in shown and "rate 7" in shown and "loss" in shown


def test_logging_waits_for_the_device_only_when_a_line_is_due():
    if mg.backend.current().name != "strict":
        pytest.skip("transfers are counted on strict")
    run = trainer(Mean(terms=lambda step, loss: {"half": loss * 0.5}), log_every=10, clip=1.0)
    run.run(steps=10)
    before = strict.transfers
    run.run(steps=20)
    assert strict.transfers == before + 1
    before = strict.transfers
    run.run(steps=50)
    assert strict.transfers == before + 3


# ---- validation and averages -----------------------------------------------------------------------------------------
def test_validation_by_a_function_sees_the_average_in_evaluation_mode():
    model, seen = Mean(), []

    def validate(m):
        seen.append((m.training, m.mu.numpy()))
        return {"score": mg.tensor(2.5)}
    run = trainer(model, batch_size=12, ema=0.5, validate=validate, validate_every=2, log_every=100)
    line = run.run(steps=3)
    assert [entry["step"] for entry in run.history] == [2, 3] and line["validation/score"] == 2.5
    assert model.training and all(model.modes) and not any(mode for mode, _ in seen)
    thetas = [(1 - 0.9 ** t) * XS.mean(axis=0) for t in range(4)]
    np.testing.assert_allclose(seen[0][1], 0.25 * thetas[1] + 0.5 * thetas[2], rtol=1e-5)
    np.testing.assert_allclose(model.mu.numpy(), thetas[3], rtol=1e-5)
    ema = EMA(model, 0.5)
    assert trainer(model, ema=ema).ema is ema


def test_validation_over_a_loader_averages_over_examples_with_fixed_noise():
    class Noisy(Mean):
        def loss(self, batch, rng):
            noise = rng.standard_normal(())
            return {"loss": mg.mean(batch["x"]) + 0.0 * mg.sum(self.mu), "noise": noise}
    run = trainer(Noisy(), validate=Loader({"x": XS}, 5, shuffle=False), validate_every=1, log_every=1)
    run.run(steps=3)
    for line in run.history:
        assert line["validation/loss"] == pytest.approx(XS.mean(), rel=1e-5)
    assert len({line["validation/noise"] for line in run.history}) == 1 < len({line["noise"] for line in run.history})


# ---- stopping --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_stops_when_the_loss_is_not_finite(bad, tmp_path):
    model = Mean()
    model.terms = lambda step, loss: {"loss": loss * bad, "rate": mg.tensor(math.inf)} if step == 7 else {}
    run = trainer(model, out=tmp_path, save_every=2, log_every=100)
    told = (r"training diverged: objective 'fit' at step 7 has loss = (nan|inf), rate = inf \(lr = 0.1\). "
            r"The last good checkpoint stays in .*Remedies: a lower learning rate; clip=1.0; .*detect_anomaly")
    with pytest.raises(FloatingPointError, match=told), np.errstate(all="ignore"):
        run.run(steps=20)
    saved = checkpoint.load(tmp_path / "checkpoint.mgc")
    assert saved["step"] == 6 and np.isfinite(saved["model"]["mu"]).all()
    if mg.backend.current().name == "numpy":
        assert run.step == 7 and np.isfinite(model.mu.numpy()).all()         # stopped before the optimiser moved


def test_stops_when_the_gradient_is_not_finite(tmp_path):
    """sqrt at 0: the loss is finite, the gradient is not. With clipping the norm tells; without, the save looks."""
    class Root(Mean):
        def loss(self, batch, rng):
            return {"loss": mg.sum(mg.sqrt(self.mu * self.mu))}
    with np.errstate(all="ignore"):
        with pytest.raises(FloatingPointError, match="'fit' at step 1 has grad_norm = nan"):
            trainer(Root(), clip=1.0, log_every=1).run(steps=3)
        with pytest.raises(FloatingPointError, match="after step 1 the parameter 'mu' is not finite"):
            trainer(Root(), out=tmp_path, save_every=1).run(steps=3)
    assert checkpoint.load(tmp_path / "checkpoint.mgc")["step"] == 0


def test_the_file_is_closed_and_the_thread_ended_whatever_happens(tmp_path):
    import threading
    threads = threading.active_count()
    model = Mean(terms=lambda step, loss: {"loss": loss * math.nan} if step == 3 else {})
    run = trainer(model, out=tmp_path, log_every=1)
    with pytest.raises(FloatingPointError):
        run.run(steps=5)
    assert run._log is None and threading.active_count() == threads


# ---- bad input -------------------------------------------------------------------------------------------------------
def test_optimizers_that_do_not_match():
    model, players = Mean(), Players()
    batches = Loader({"x": XS}, 4)
    stranger = nn.Parameter(mg.zeros(2))
    for m, optimizers, message in [
            (players, Adam(players.parameters()), r"has the objectives \['a', 'b', 'c'\]; give a dict"),
            (model, {"fitt": Adam(model.parameters())}, r"objectives are \['fit'\], the optimisers are for \['fitt'\]"),
            (model, Adam([stranger]), "the optimiser of 'fit' has 1 parameters that are not the 1 of the objective")]:
        with pytest.raises(ValueError, match=message):
            Trainer(m, optimizers, batches)


def test_bad_settings():
    for settings, message in [({"existing": "maybe"}, "existing must be 'refuse', 'resume' or 'replace'"),
                              ({"log_every": 0}, "log_every must be an integer ≥ 1, got 0"),
                              ({"ema": 1}, "EMA: decay must be in"),
                              ({"clip": -1.0}, "clip_grad_norm: the limit must be a number > 0, got -1.0")]:
        with pytest.raises(ValueError, match=message):
            trainer(Mean(), **settings).run(steps=1)
    model = Mean()
    with pytest.raises(TypeError, match="wants a Loader or a function rng -> batch, got a ndarray"):
        Trainer(model, Adam(model.parameters()), XS)


def test_bad_losses():
    for loss, kind, message in [
            (lambda batch, rng: mg.sum(batch["x"]), TypeError, "'fit': loss.* must return a dict with a .* got Tensor"),
            (lambda batch, rng: {"los": 1.0}, TypeError, r"got dict with \['los'\]"),
            (lambda batch, rng: {"loss": batch["x"]}, ValueError, r"'loss' has shape \(4, 2\), wants one number"),
            (lambda batch, rng: {"loss": mg.mean(batch["x"]), "step": 1}, ValueError, "no term may be called 'step'")]:
        model = Mean()
        model.loss = loss
        with pytest.raises(kind, match=message):
            trainer(model).run(steps=1)


def test_a_loader_that_gives_no_batches():
    class Empty:
        def __len__(self):
            return 2

        def epoch(self, k, start=0):
            return iter(())
    model = Mean()
    with pytest.raises(ValueError, match="the loader gave no batch at step 0, although its len is 2"):
        Trainer(model, Adam(model.parameters()), Empty(), progress=False).run(steps=1)


def test_no_output_without_progress():
    told = io.StringIO()
    with contextlib.redirect_stderr(told), contextlib.redirect_stdout(told):
        trainer(Mean()).run(steps=2)
    assert told.getvalue() == ""
