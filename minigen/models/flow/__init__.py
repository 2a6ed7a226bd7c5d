"""Normalising flows as models: what they share, images, and one system a file."""
from minigen.models.flow.continuous import CNF
from minigen.models.flow.glow import Glow
from minigen.models.flow.maf import IAF, MAF
from minigen.models.flow.model import FlowModel
from minigen.models.flow.networks import CouplingMLP, DenseNet, conv_then_dense, glow_conv_net, residual_conv_net
from minigen.models.flow.nice import NICE
from minigen.models.flow.nsf import NSF
from minigen.models.flow.pixels import ImageFlow
from minigen.models.flow.planar import PlanarFlow
from minigen.models.flow.realnvp import MultiScaleRealNVP, RealNVP

__all__ = ["CNF", "CouplingMLP", "DenseNet", "FlowModel", "Glow", "IAF", "ImageFlow", "MAF", "MultiScaleRealNVP",
           "NICE", "NSF", "PlanarFlow", "RealNVP", "conv_then_dense", "glow_conv_net", "residual_conv_net"]
