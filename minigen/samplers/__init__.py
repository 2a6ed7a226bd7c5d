"""Drawing from what is known only up to a constant. `direct`: inverse transform, rejection, importance. `chain`: how
Markov chains are run; `metropolis`, `langevin`, `hmc`: their steps; `finite`: chains that can be computed exactly;
`annealed`: normalisers; `diagnostics`: whether a chain can be believed."""
from minigen.samplers.annealed import annealed, annealed_back, sigmoid_schedule
from minigen.samplers.chain import Chains, Kernel, State, run
from minigen.samplers.diagnostics import autocorrelation, effective_sample_size, r_hat
from minigen.samplers.direct import Importance, Rejection, importance, inverse_transform, rejection
from minigen.samplers.finite import FiniteChain, metropolis_chain
from minigen.samplers.hmc import HMC
from minigen.samplers.langevin import MALA, ULA
from minigen.samplers.metropolis import Gibbs, MetropolisHastings, Mixed, RandomWalk, flip_one

__all__ = ["Chains", "FiniteChain", "Gibbs", "HMC", "Importance", "Kernel", "MALA", "MetropolisHastings", "Mixed",
           "RandomWalk", "Rejection", "State", "ULA", "annealed", "annealed_back", "autocorrelation",
           "effective_sample_size", "flip_one", "importance", "inverse_transform", "metropolis_chain", "r_hat",
           "rejection", "run", "sigmoid_schedule"]
