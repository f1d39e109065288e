"""The layers that are quantized."""

from torch import nn

WEIGHT_LAYERS = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)
"""Modules with weights that run on integer kernels."""
