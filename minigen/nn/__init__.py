"""Neural network layers: Modules, their parameters, and how these start. Features are always on the last axis.

Read `module` first; then `linear`, `containers`, and what you need.
"""
from minigen.nn import init
from minigen.nn.activations import ELU, GELU, Identity, LeakyReLU, ReLU, Sigmoid, SiLU, Softplus, Tanh
from minigen.nn.attention import MultiHeadAttention, SelfAttention, attention_weights, scaled_dot_product_attention
from minigen.nn.batchnorm import BatchNorm, ConditionalBatchNorm
from minigen.nn.containers import MLP, Sequential
from minigen.nn.conv import Conv1d, Conv2d, ConvTranspose2d
from minigen.nn.dropout import Dropout
from minigen.nn.embedding import Embedding
from minigen.nn.groupnorm import GroupNorm, InstanceNorm
from minigen.nn.linear import Linear
from minigen.nn.masked import MaskedLinear, MaskedMLP
from minigen.nn.masked_conv import MaskedConv2d, VerticalConv2d
from minigen.nn.module import Module
from minigen.nn.norm import LayerNorm
from minigen.nn.parameter import Buffer, Parameter
from minigen.nn.recurrent import GRU, GRUCell, LSTM, LSTMCell
from minigen.nn.residual import ResidualBlock
from minigen.nn.reweight import EqualizedLR, Reweighted
from minigen.nn.spectral import SpectralNorm
from minigen.nn.time_embedding import RandomFourierFeatures, TimeEmbedding, sinusoidal_embedding
from minigen.nn.unet import UNet

__all__ = ["BatchNorm", "Buffer", "ConditionalBatchNorm", "Conv1d", "Conv2d", "ConvTranspose2d", "Dropout", "ELU",
           "Embedding", "EqualizedLR", "GELU", "GRU", "GRUCell", "GroupNorm", "Identity", "InstanceNorm", "LSTM",
           "LSTMCell", "LayerNorm", "LeakyReLU", "Linear", "MLP", "MaskedConv2d", "MaskedLinear", "MaskedMLP", "Module",
           "MultiHeadAttention", "Parameter", "RandomFourierFeatures", "ReLU", "ResidualBlock", "Reweighted",
           "SelfAttention", "Sequential", "SiLU", "Sigmoid", "Softplus", "SpectralNorm", "Tanh", "TimeEmbedding",
           "UNet", "VerticalConv2d", "attention_weights", "init", "scaled_dot_product_attention",
           "sinusoidal_embedding"]
