"""A tiny adversarial run that uses everything a checkpoint must hold, and can be told to die at a chosen moment.

    python toy_run.py FOLDER STEPS [MOMENT]          # MOMENT: loss:37, fsync:2, rename:2, renamed:2, log:3, or
    pause:0.01
"""
import functools
import os
import signal
import sys
import time

import minigen as mg
from minigen import nn
from minigen.data import Loader
from minigen.models.base import GenerativeModel, Objective
from minigen.training import SGD, Adam, Trainer, checkpoint, log, schedules

import numpy as np  # after minigen, as minigen.levers asks


def nothing():
    """What happens at each loss of a run that is left alone."""


class ToyGAN(GenerativeModel):
    """A linear critic with dropout against a linear generator; a Buffer counts the critic's losses."""

    def __init__(self, seed=0, each_loss=nothing):
        rng = mg.random.default_rng(seed)
        self.generator = nn.Linear(2, 3, rng=rng)
        self.critic = nn.Sequential(nn.Linear(3, 4, rng=rng), nn.Dropout(0.3, rng=rng), nn.ReLU(),
                                    nn.Linear(4, 1, rng=rng))
        self.calls = nn.Buffer(mg.zeros(()))
        self.each_loss = each_loss

    def sample(self, n, *, rng, labels=None):
        return self.generator(rng.standard_normal((n, 2)))

    def critic_loss(self, batch, rng):
        self.each_loss()
        if self.training:
            self.calls[...] = self.calls + 1.0
        real, fake = self.critic(batch["x"]), self.critic(self.sample(len(batch["x"]), rng=rng))
        penalty = mg.mean(real * real)
        return {"loss": mg.mean(fake) - mg.mean(real) + penalty, "penalty": penalty}

    def generator_loss(self, batch, rng):
        return {"loss": -mg.mean(self.critic(self.sample(len(batch["x"]), rng=rng)))}

    def objectives(self):
        return [Objective("critic", self.critic.parameters(), self.critic_loss),
                Objective("generator", self.generator.parameters(), self.generator_loss, every=2)]


def trainer(out, each_loss=nothing, **settings):
    """The run of the tests: 7 batches an epoch, a line every 5 steps, a checkpoint every 8."""
    model = ToyGAN(each_loss=each_loss)
    examples = np.random.default_rng(7).standard_normal((40, 3)).astype(np.float32)
    noisy = Loader({"x": examples}, 6, seed=3,
                   transform=lambda batch, rng: {"x": batch["x"] + rng.random(dtype=np.float32)})
    optimizers = {"critic": lambda p: Adam(p, lr=schedules.cosine(0.01, steps=60)),
                  "generator": SGD(model.generator.parameters(), lr=0.05, momentum=0.9)}
    settings = {"existing": "resume", "ema": 0.9, "clip": 0.5, "validate": Loader({"x": examples}, 16, shuffle=False),
                "log_every": 5, "validate_every": 15, "save_every": 8, "progress": False, "seed": 1, **settings}
    return Trainer(model, optimizers, noisy, out=out, **settings)


class Death:
    """Calls ``function`` and kills this process with SIGKILL before (or after) the n-th call."""

    def __init__(self, function, n, after=False):
        self.function, self.left, self.after = function, n, after

    def __call__(self, *args):
        self.left -= 1
        if self.left == 0 and not self.after:
            os.kill(os.getpid(), signal.SIGKILL)
        result = self.function(*args)
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return result


def main(folder, steps, moment="none:0"):
    where, _, n = moment.partition(":")
    each_loss = nothing
    if where == "loss":
        each_loss = Death(nothing, int(n))
    elif where == "pause":
        each_loss = functools.partial(time.sleep, float(n))
    elif where == "fsync":
        os.fsync = Death(os.fsync, int(n))
    elif where in ("rename", "renamed"):
        checkpoint.os.replace = Death(os.replace, int(n), after=where == "renamed")
    elif where == "log":
        write, last = log.Log.write, Death(nothing, int(n))
        log.Log.write = lambda self, line: (write(self, line), last())
    trainer(folder, each_loss).run(int(steps))


if __name__ == "__main__":
    main(*sys.argv[1:])
