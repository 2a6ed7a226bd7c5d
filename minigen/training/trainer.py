"""Trainer: the one loop that trains every model.

    trainer = Trainer(model, Adam(model.parameters(), lr=1e-3), loader, out="runs/vae", existing="resume")
    trainer.run(steps=10_000)

In each step it takes one batch and lets every objective of the model move its own parameters: evaluate the loss,
differentiate it with respect to those parameters alone, clip, let the optimiser step. A folder ``out`` holds
``checkpoint.mgc`` and ``log.jsonl``.

**Exact resume.** Everything that the next step depends on is in the checkpoint: parameters and buffers, the
optimisers' moments, the average, the state of every generator, the place in the data, the sums behind the next line
of the log, and the length of the log. So a run that is killed at any moment, and started again with the same
arguments, ends with the same bits (on one CPU) and the same log, but for the seconds in it.
"""
import contextlib
import pathlib
import sys
import time

import numpy as np

from minigen import random
from minigen.autograd import grad
from minigen.primitive import no_grad
from minigen.training import checkpoint
from minigen.training.clip import clip_grad_norm
from minigen.training.ema import EMA
from minigen.training.interrupt import Interruption
from minigen.training.log import RESERVED, Log, Meter, read_log
from minigen.training.objectives import average_terms, check_terms, match_optimizers

CHECKPOINT, LOG = "checkpoint.mgc", "log.jsonl"


class Trainer:
    """Trains a model by its objectives. See the top of this file.

    Args:
        model: a `GenerativeModel`, or any Module with ``objectives()``.
        optimizers: an Optimizer if there is one objective; else {objective's name: Optimizer}. In place of an
            Optimizer, a function that makes one of a list of parameters: ``lambda p: Adam(p, lr=2e-4)``, which may
            serve all objectives.
        batches: a `data.Loader`; or, for data that never repeats, a function ``rng -> batch``.
        seed: of everything random in the losses.
        out: folder for checkpoint and log, made if need be; None: nothing is saved.
        existing: what to do about a run that ``out`` already holds: "refuse" it, "resume" it, or "replace" it.
        ema: decay of an average of the parameters, or an `EMA`; None: none. Validation uses the average.
        clip: largest norm of an objective's gradient, or a function (parameters) -> norm or None; None: no clipping.
        validate: function (model) -> {name: number}, or a Loader over which the objectives' terms are averaged.
        log_every, validate_every, save_every: in steps. The last step logs, validates and saves too.
        config: JSON-able dict kept in the checkpoint, for whoever must rebuild the model.
        progress: show a progress bar.

    Attributes: step (taken so far); history, the lines of the log; ema; rng; config.

    Raises ValueError if objectives and optimisers do not match; FileExistsError if ``out`` holds a run and
    ``existing`` is "refuse"; `checkpoint.CheckpointError` for a damaged checkpoint.
    """

    def __init__(self, model, optimizers, batches, *, seed=0, out=None, existing="refuse", ema=None, clip=None,
                 validate=None, log_every=100, validate_every=1000, save_every=1000, config=None, progress=True):
        if existing not in ("refuse", "resume", "replace"):
            raise ValueError(f"Trainer: existing must be 'refuse', 'resume' or 'replace', got {existing!r}")
        self.log_every, self.validate_every, self.save_every = log_every, validate_every, save_every
        for setting in ("log_every", "validate_every", "save_every"):
            if getattr(self, setting) < 1:
                raise ValueError(f"Trainer: {setting} must be an integer ≥ 1, got {getattr(self, setting)}")
        if not callable(batches) and not hasattr(batches, "epoch"):
            raise TypeError(f"Trainer: wants a Loader or a function rng -> batch, got a {type(batches).__name__}; for "
                            "a data set: data.Loader(dataset, batch_size=128)")
        self.model, self.batches, self.validate = model, batches, validate
        self.objectives = model.objectives()
        self.optimizers = match_optimizers(self.objectives, optimizers)
        self._home = self.objectives[0].parameters[0]       # lives where the model does
        self.ema = EMA(model, ema) if isinstance(ema, (int, float)) else ema
        self.clip = clip if clip is None or callable(clip) else lambda parameters: clip_grad_norm(parameters, clip)
        self.progress, self.config, self.seed = progress, config, seed
        self.rng, self._validation_rng = random.default_rng(seed, self._home.backend.name).spawn(2)
        self.step, self.seconds, self.history = 0, 0.0, []
        self._meter, self._log, self._log_start = Meter(), None, 0
        self.out = None if out is None else pathlib.Path(out)
        if self.out and existing == "refuse" and any((self.out / name).exists() for name in (CHECKPOINT, LOG)):
            raise FileExistsError(f"Trainer: {self.out} already holds a run; give existing='resume' to go on with it, "
                                  "existing='replace' to begin anew, or another folder")
        if self.out and existing == "resume" and (self.out / CHECKPOINT).exists():
            self._restore(checkpoint.load(self.out / CHECKPOINT))

    # ---- the loop ------------------------------------------------------------------------------------------------
    def run(self, steps):
        """Train until ``steps`` steps are done, counted from the very beginning, and return the last line of the log.

        Raises FloatingPointError when a loss is not finite; the last checkpoint stays. On Ctrl-C it finishes the
        step, saves, and raises KeyboardInterrupt with a message that says how to go on.
        """
        if steps < self.step:
            raise ValueError(f"run: {self.step} steps are done already, more than the {steps} asked for; steps counts "
                             "from the beginning")
        self.model.train()
        began = time.perf_counter() - self.seconds
        with (Interruption() as ctrl_c, self._open_folder(), self._bar(steps) as bar,
              contextlib.closing(self._stream()) as stream):
            stop = self.step == steps
            while not stop:
                self._take_step(next(stream))
                self.seconds = time.perf_counter() - began
                last = self.step == steps
                validates = self.validate is not None and (last or self.step % self.validate_every == 0)
                if validates or last or self.step % self.log_every == 0:
                    self._report(bar, validates)
                bar.update()
                stop = last or ctrl_c.requested
                if self.out and (stop or self.step % self.save_every == 0):
                    self.save()
        if ctrl_c.requested:
            kept = f"all is saved in {self.out}; give existing='resume' to go on"
            raise KeyboardInterrupt(f"stopped after step {self.step} of {steps}; "
                                    + (kept if self.out else "nothing is saved without out="))
        return self.history[-1] if self.history else {}

    def _stream(self):
        """The batches from the present step on, without end."""
        while callable(self.batches):
            yield self.batches(self.rng)
        while True:
            before = self.step
            yield from self.batches.epoch(*divmod(self.step, len(self.batches)))
            if self.step == before:
                raise ValueError(f"run: the loader gave no batch at step {self.step}, although its len is "
                                 f"{len(self.batches)}")

    def _take_step(self, batch):
        self.step += 1
        for objective in self.objectives:
            if self.step % objective.every == 0:
                self._move(objective, self.optimizers[objective.name], batch)
        if self.ema:
            self.ema.update()

    def _move(self, objective, optimizer, batch):
        """One step of one objective."""
        terms = objective.loss(batch, self.rng)
        check_terms(objective.name, terms)
        lr = optimizer.rate()
        self._note(objective, lr, {"lr": lr, **terms})
        for parameter, gradient in zip(objective.parameters, grad(terms["loss"], objective.parameters)):
            parameter.grad = gradient
        del terms                                       # and with them the graph, before the optimiser takes memory
        norm = self.clip(objective.parameters) if self.clip else None
        if norm is not None:
            self._note(objective, lr, {"grad_norm": norm})
        optimizer.step()
        optimizer.zero_grad()
        if objective.after:
            with no_grad():
                objective.after()

    # ---- telling -------------------------------------------------------------------------------------------------
    def _note(self, objective, lr, terms):
        """Keep terms for the log. On the CPU, where looking is free, stop at once if the loss is not finite."""
        self._meter.add(self.step, objective.name if len(self.objectives) > 1 else "", lr, terms)
        if self._home.device == "cpu":
            self._collect()

    def _collect(self):
        bad = self._meter.collect()
        if bad:
            step, objective, lr, terms = bad
            told = ", ".join(f"{name} = {value:.6g}" for name, value in terms.items() if name != "lr")
            name = objective or self.objectives[0].name
            raise self._diverged(f"objective {name!r} at step {step} has {told} (lr = {lr:.3g})")

    def _diverged(self, what):
        kept = f"The last good checkpoint stays in {self.out}. " if self.out else ""
        return FloatingPointError(f"training diverged: {what}. {kept}Remedies: a lower learning rate; clip=1.0; or "
                                  "find the op that made it: with mg.detect_anomaly(): trainer.run(…)")

    def _report(self, bar, validates):
        """Write a line of the log: means since the last one, and validation where it is due."""
        self._collect()
        epoch = None if callable(self.batches) else round(self.step / len(self.batches), 4)
        line = {"step": self.step, "epoch": epoch, "seconds": round(self.seconds, 3), **self._meter.take()}
        if validates:
            line |= {f"validation/{name}": value for name, value in self._validated().items()}
        self.history.append(line)
        if self._log:
            self._log.write(line)
        shown = {name: value for name, value in line.items() if name.rpartition("/")[2] not in RESERVED}
        bar.set_postfix_str(", ".join(f"{name} {value:.4g}" for name, value in shown.items()), refresh=False)

    def _validated(self):
        """{name: number} of the validation, by the averaged parameters if there are any."""
        self.model.eval()
        with self.ema.swapped() if self.ema else contextlib.nullcontext():
            if hasattr(self.validate, "epoch"):
                rng = random.default_rng(0, self.rng.backend)
                rng.set_state(self._validation_rng.state())                     # the same noise every time
                result = average_terms(self.objectives, self.validate, rng)
            else:
                result = self.validate(self.model)
        self.model.train()
        return {name: float(value) for name, value in result.items()}

    def _bar(self, steps):
        from tqdm.auto import tqdm                      # here, since it takes a while to load
        watched = sys.stderr.isatty() or "ipykernel" in sys.modules             # else a file, which we do not flood
        return tqdm(total=steps, initial=self.step, unit="step", disable=not self.progress, dynamic_ncols=True,
                    mininterval=0.2 if watched else 30.0)

    # ---- saving --------------------------------------------------------------------------------------------------
    def save(self):
        """Write the checkpoint now. Raises FloatingPointError, and keeps the old one, if a parameter is not finite."""
        if not self.out:
            raise ValueError("save: this Trainer has no folder; make it with out=…")
        state = self.state_dict()
        bad = [name for name, _ in self.model.named_parameters() if not np.isfinite(state["model"][name]).all()]
        if bad:
            raise self._diverged(f"after step {self.step} the parameter {bad[0]!r} is not finite")
        checkpoint.save(self.out / CHECKPOINT, state)

    def state_dict(self):
        """Everything that the rest of the run depends on, as dicts of arrays, numbers and strings."""
        self._collect()
        place = None if callable(self.batches) else dict(zip(("epoch", "batch"), divmod(self.step, len(self.batches))))
        return {
            "step": self.step, "seconds": self.seconds, "seed": self.seed, "config": self.config,
            "model": self.model.state_dict(),
            "optimizers": {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()},
            "ema": self.ema and self.ema.state_dict(),
            "generators": {name: generator.state() for name, generator in self._generators().items()},
            "loader": {**self.batches.state(), **place} if hasattr(self.batches, "state") else place,
            "meter": self._meter.state_dict(),
            "log_bytes": self._log.sync() if self._log else self._log_start,
        }

    def _restore(self, saved):
        """Continue from `state_dict`. Raises ValueError if it does not fit."""
        generators = self._generators()
        ours = {"seed": self.seed, "optimizers": sorted(self.optimizers), "generators": sorted(generators),
                "ema": self.ema is not None, "loader": not callable(self.batches)}
        theirs = {"seed": saved["seed"], "optimizers": sorted(saved["optimizers"]),
                  "generators": sorted(saved["generators"]), "ema": saved["ema"] is not None,
                  "loader": saved["loader"] is not None}
        for name in ours:
            if ours[name] != theirs[name]:
                raise ValueError(f"Trainer: the run in {self.out} has {name} = {theirs[name]}, this trainer "
                                 f"{ours[name]}; resume with the same arguments")
        self.model.load_state_dict(saved["model"])
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(saved["optimizers"][name])
        if self.ema:
            self.ema.load_state_dict(saved["ema"])
        for name, generator in generators.items():
            generator.set_state(saved["generators"][name])
        if hasattr(self.batches, "set_state"):
            self.batches.set_state(saved["loader"])     # raises if it would give other batches
        self._meter.load_state_dict(saved["meter"])
        self.step, self.seconds, self._log_start = saved["step"], saved["seconds"], saved["log_bytes"]
        self.config = saved["config"] if self.config is None else self.config

    def _generators(self):
        return {"": self.rng, **dict(self.model.named_generators())}

    @contextlib.contextmanager
    def _open_folder(self):
        """The log, open; before the first step a checkpoint of the start, so that a run killed early resumes too."""
        if not self.out:
            yield
            return
        self.out.mkdir(parents=True, exist_ok=True)
        if self.step == 0:
            self.save()
        self._log = Log(self.out / LOG, self._log_start)
        self.history = read_log(self.out / LOG)
        try:
            yield
        finally:
            self._log_start = self._log.sync()
            self._log.close()
            self._log = None
