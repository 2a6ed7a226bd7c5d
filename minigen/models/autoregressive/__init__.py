"""Autoregressive models: p(x) as a product of conditionals, exact likelihoods, one entry drawn after another."""
from minigen.models.autoregressive.ar import AR
from minigen.models.autoregressive.fvsbn import FVSBN
from minigen.models.autoregressive.gated_pixelcnn import GatedPixelCNN
from minigen.models.autoregressive.made import MADE
from minigen.models.autoregressive.nade import NADE
from minigen.models.autoregressive.parallel_wavenet import DilatedIAF, LogisticWaveNet, ParallelWaveNet
from minigen.models.autoregressive.pixelcnn import PixelCNN
from minigen.models.autoregressive.pixelrnn import PixelRNN
from minigen.models.autoregressive.rnade import RNADE
from minigen.models.autoregressive.wavenet import DilatedStack, WaveNet

__all__ = ["AR", "DilatedIAF", "DilatedStack", "FVSBN", "GatedPixelCNN", "LogisticWaveNet", "MADE", "NADE",
           "ParallelWaveNet", "PixelCNN", "PixelRNN", "RNADE", "WaveNet"]
