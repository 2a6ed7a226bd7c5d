"""Models given by an energy: p(x) = e^{−E(x)}/Z, with a Z that is mostly out of reach."""
from minigen.models.energy.boltzmann import Boltzmann, MaxwellSpeed
from minigen.models.energy.decisions import LOSSES, EnergyLoss, decide
from minigen.models.energy.deep import DeepEBM, conv_energy
from minigen.models.energy.ebgan import EBGAN
from minigen.models.energy.nce import NCE
from minigen.models.energy.rbm import RBM, GaussianRBM
from minigen.models.energy.score import ScoreModel, energy_score

__all__ = ["Boltzmann", "DeepEBM", "EBGAN", "EnergyLoss", "GaussianRBM", "LOSSES", "MaxwellSpeed", "NCE", "RBM",
           "ScoreModel", "conv_energy", "decide", "energy_score"]
