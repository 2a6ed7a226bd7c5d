"""Evaluations that recipes share: model, loader, rng -> {metric: (value, unit)}."""
import sys

import numpy as np

import minigen as mg
from minigen import data


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


def evaluate_digits(model, loader, rng):
    """An evaluation: `metrics.image_metrics` of as many samples as there are test images."""
    real = np.concatenate([batch["x"].numpy() for batch in progress(loader, "test images")])
    return mg.metrics.image_metrics(real, _samples(model, len(real), rng))


def validate_digits(model, samples=2000, seed=0):
    """A validation for the Trainer: digit FID of so many samples, of the same noise each time, and the bundled test
    digits."""
    real, fake = data.to_unit(data.digits("test")["x"]), _samples(model, samples, mg.random.default_rng(seed))
    return {"digit_fid": mg.metrics.fid(*(mg.metrics.digit_features(images)[0] for images in (real, fake)))}


def _samples(model, n, rng, size=250):
    """n samples on the host, clipped to [0, 1], ``size`` at a time."""
    parts = [model.sample(min(size, n - start), rng=rng).numpy() for start in range(0, n, size)]
    return np.clip(np.concatenate(parts), 0, 1)


def evaluate_log_prob(model, loader, rng):
    """An evaluation: the mean of −log p(x), exact."""
    with mg.no_grad():
        return {"test_nll": (-_mean([model.log_prob(batch["x"]).numpy() for batch in progress(loader, "evaluating")]),
                             "nats")}


def _mean(parts):
    return float(np.concatenate(parts).mean(dtype=np.float64))


def progress(items, what):
    """Iterate with a progress bar on stderr that vanishes when done. In a log file it speaks every 10 s only."""
    from tqdm.auto import tqdm                          # here, since it takes a while to load
    live = sys.stderr.isatty() or "ipykernel" in sys.modules
    return tqdm(items, desc=what, leave=False, dynamic_ncols=True, mininterval=0.1 if live else 10)
