"""Neural network layers: Modules, their parameters, and how these start. Features are always on the last axis.

Read `module` first; then `linear`, `containers`, and what you need.
"""
from minigen.nn import init
from minigen.nn.activations import ELU, GELU, Identity, LeakyReLU, ReLU, Sigmoid, SiLU, Softplus, Tanh
from minigen.nn.batchnorm import BatchNorm, ConditionalBatchNorm
from minigen.nn.containers import MLP, Sequential
from minigen.nn.dropout import Dropout
from minigen.nn.embedding import Embedding
from minigen.nn.groupnorm import GroupNorm, InstanceNorm
from minigen.nn.linear import Linear
from minigen.nn.module import Module
from minigen.nn.norm import LayerNorm
from minigen.nn.parameter import Buffer, Parameter

__all__ = ["BatchNorm", "Buffer", "ConditionalBatchNorm", "Dropout", "ELU", "Embedding", "GELU", "GroupNorm", "Identity",
           "InstanceNorm", "LayerNorm", "LeakyReLU", "Linear", "MLP", "Module", "Parameter", "ReLU", "Sequential", "SiLU",
           "Sigmoid", "Softplus", "Tanh", "init"]
