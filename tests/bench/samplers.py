"""Speed of Hamiltonian Monte Carlo: 1,000 chains at once on a Gaussian of ten dimensions, float32.

    python tests/bench/samplers.py            # --json for a program

A *sweep* moves all chains by one leapfrog step: one gradient of log p at 1,000 points. *Chain-steps* are sweeps times
chains, which is what one counts of chains run one at a time. The median of several turns is printed, and the fastest
and slowest.
"""
import argparse
import json
import statistics
import time

import numpy as np

import minigen as mg
from minigen.samplers import HMC, effective_sample_size, run

CHAINS, D, LEAPS, TRAJECTORIES, TURNS = 1000, 10, 10, 40, 9


def log_prob(x):
    """N(0, diag(1, 4, …, 100)) but for a constant."""
    return -0.5 * mg.sum(x * x * PRECISION, axis=1)


PRECISION = mg.tensor((1 / np.arange(1.0, D + 1) ** 2).astype(np.float32))


def measure():
    """{"chain_steps_per_second": [median, least, most], …}."""
    rng = mg.random.default_rng(0)
    start = rng.standard_normal((CHAINS, D)) * mg.tensor(np.arange(1.0, D + 1).astype(np.float32))
    state, rates, kept = start, [], []
    for turn in range(TURNS + 1):                                            # the first one warms up
        began = time.perf_counter()
        chains = run(HMC(log_prob, 1.2, LEAPS), state, TRAJECTORIES, rng=rng, progress=False)
        rates.append(LEAPS * TRAJECTORIES / (time.perf_counter() - began))
        state, kept = chains.last, [*kept, chains.x] if turn else []
    rates = sorted(rates[1:])
    worth = effective_sample_size(np.concatenate(kept)[:, ::10]).min() * 10
    sweeps = [statistics.median(rates), rates[0], rates[-1]]
    return {"chains": CHAINS, "dimensions": D, "leapfrog_steps": LEAPS, "acceptance": chains.acceptance,
            "sweeps_per_second": sweeps, "chain_steps_per_second": [CHAINS * r for r in sweeps],
            "effective_draws_per_second": worth / (TURNS * LEAPS * TRAJECTORIES / sweeps[0])}


def main():
    """Measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    found = measure()
    if parser.parse_args().json:
        print(json.dumps(found))
        return
    for name in ("sweeps_per_second", "chain_steps_per_second"):
        middle, low, high = found[name]
        print(f"{name.replace('_', ' '):<28}{middle:>14,.0f}    ({low:,.0f} to {high:,.0f})")
    print(f"{'effective draws per second':<28}{found['effective_draws_per_second']:>14,.0f}    the worst entry")
    print(f"{CHAINS:,} chains × {D} dimensions, {LEAPS} leapfrog steps a trajectory, {found['acceptance']:.0%} kept")


if __name__ == "__main__":
    main()
