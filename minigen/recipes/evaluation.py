"""Evaluations that recipes share: model, loader, rng -> {metric: (value, unit)}."""
import sys

import numpy as np

import minigen as mg


def evaluate_bounds(samples):
    """An evaluation: the ELBO with one sample a test image, and the importance-weighted bound with ``samples``."""
    def evaluate(model, loader, rng):
        elbo, iwae, rate = [], [], []
        with mg.no_grad():
            for batch in progress(loader, "evaluating"):
                distortion, kl = model.terms(batch["x"], rng=rng)
                elbo.append((-distortion - kl).numpy())
                rate.append(kl.numpy())
                iwae.append(model.iwae(batch["x"], samples, rng=rng).numpy())
        return {"test_elbo": (_mean(elbo), "nats"), "test_rate": (_mean(rate), "nats"),
                f"test_iwae_{samples}": (_mean(iwae), "nats")}

    return evaluate


def _mean(parts):
    return float(np.concatenate(parts).mean(dtype=np.float64))


def progress(items, what):
    """Iterate with a progress bar on stderr that vanishes when done. In a log file it speaks every 10 s only."""
    from tqdm.auto import tqdm                          # here, since it takes a while to load
    live = sys.stderr.isatty() or "ipykernel" in sys.modules
    return tqdm(items, desc=what, leave=False, dynamic_ncols=True, mininterval=0.1 if live else 10)
