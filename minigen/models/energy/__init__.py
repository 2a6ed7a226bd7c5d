"""Models given by an energy: p(x) = e^{−E(x)}/Z, with a Z that is mostly out of reach."""
from minigen.models.energy.boltzmann import Boltzmann, MaxwellSpeed
from minigen.models.energy.decisions import LOSSES, EnergyLoss, decide
from minigen.models.energy.rbm import RBM, GaussianRBM

__all__ = ["Boltzmann", "EnergyLoss", "GaussianRBM", "LOSSES", "MaxwellSpeed", "RBM", "decide"]
