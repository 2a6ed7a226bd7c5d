"""Normalising flows: invertible transforms with their log-determinants, and the distributions made of them.

Read `base` first (the contract), then `flow`; then one family a file.
"""
from minigen.flows.actnorm import ActNorm
from minigen.flows.autoregressive import Autoregressive, GrowingPass
from minigen.flows.base import Compose, Identity, Inverse, Transform
from minigen.flows.continuous import ContinuousFlow, VelocityMLP
from minigen.flows.coupling import Coupling, MaskedCoupling, checkerboard_mask, half_mask, parity_mask
from minigen.flows.elementwise import (Affine, ConditionalAffine, Elementwise, Exp, LeakyReLU, Logit, Sigmoid, Softplus,
                                       Tanh)
from minigen.flows.flow import Flow
from minigen.flows.linear import Householder, LULinear, Triangular
from minigen.flows.multiscale import MultiScale, Split, Squeeze
from minigen.flows.ode import AdaptiveSteps, FixedSteps, ODEError
from minigen.flows.permutation import Permutation, Reverse
from minigen.flows.planar import Planar, Radial
from minigen.flows.scalar import AdditiveMap, AffineMap, ScalarMap, StandardiseMap
from minigen.flows.spline import ElementwiseSpline, SplineMap, rational_quadratic_spline

__all__ = ["ActNorm", "AdaptiveSteps", "AdditiveMap", "Affine", "AffineMap", "Autoregressive", "Compose",
           "ConditionalAffine", "ContinuousFlow", "Coupling", "Elementwise", "ElementwiseSpline", "Exp", "FixedSteps",
           "Flow", "GrowingPass", "Householder", "Identity", "Inverse", "LULinear", "LeakyReLU", "Logit",
           "MaskedCoupling", "MultiScale", "ODEError", "Permutation", "Planar", "Radial", "Reverse", "ScalarMap",
           "Sigmoid", "Softplus", "SplineMap", "Split", "Squeeze", "StandardiseMap", "Tanh", "Transform",
           "Triangular", "VelocityMLP", "checkerboard_mask", "half_mask", "parity_mask", "rational_quadratic_spline"]
