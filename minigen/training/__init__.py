"""Training: optimisers, schedules, averages, checkpoints, and the one loop that trains every model.

    from minigen.training import Adam, Trainer
    Trainer(model, Adam(model.parameters(), lr=1e-3), loader, out="runs/vae").run(steps=10_000)
"""
from minigen.training import checkpoint, optim, schedules
from minigen.training.clip import clip_grad_norm, clip_grad_value
from minigen.training.ema import EMA
from minigen.training.log import read_log
from minigen.training.optim import SGD, Adam, AdamW, RMSprop
from minigen.training.trainer import Trainer

__all__ = ["EMA", "SGD", "Adam", "AdamW", "RMSprop", "Trainer", "checkpoint", "clip_grad_norm", "clip_grad_value",
           "optim", "read_log", "schedules"]
