"""Place NNCF's fake-quantizers as TensorRT and ONNX Runtime need them, and restore them.

Weights are symmetric per output channel, activations symmetric per tensor; the zero point is 0. All
adaptations of NNCF are in this module.
"""

import contextlib
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nncf
import torch
from nncf.quantization.advanced_parameters import AdvancedQuantizationParameters, OverflowFix
from nncf.torch.function_hook.wrapper import get_hook_storage
from nncf.torch.quantization.layers import SymmetricQuantizer
from torch import Tensor, nn

from base.errors import InputError
from pipeline.export.batch_norm_folding import fold_batch_norms
from pipeline.quantization.layer_inputs import image_quantizers, keep_only_layer_inputs
from pipeline.quantization.quantizer_kernels import Kernels, use_kernels
from pipeline.teachers.weight_layers import WEIGHT_LAYERS


@dataclass(frozen=True)
class Scheme:
    """How a network is quantized.

    At 8 activation bits all activations are signed, as devices require. Below 8 bits, where nothing
    is exported, the scheme follows the code of GDFQ: an activation that is never negative is
    unsigned, and a value that no layer takes stays in float. Two things differ from GDFQ, which
    quantizes outputs of ReLUs only: images have the 8 bits they were stored with, and the pooled
    input of the last layer has `activation_bits` like every other layer input.

    Attributes:
        weight_bits: Bits of the weights, 2 to 8.
        activation_bits: Bits of the activations, 2 to 8.
        edge_bits: Bits of the weights and inputs (images included) of the first and the last layer.
            None treats these layers like all others.
        half_range: Keep int8 weights within -64 and 64.
        float_layers: Names of layers that stay in float.
        kernels: The kernels that the quantizers compute with.
    """

    weight_bits: int = 8
    activation_bits: int = 8
    edge_bits: int | None = None
    half_range: bool = False
    float_layers: tuple[str, ...] = ()
    kernels: Kernels = "compiled"


def prepare(network: nn.Module, calibration: Tensor, scheme: Scheme) -> nn.Module:
    """Return a copy with folded batch norms and calibrated fake-quantizers.

    Args:
        network: A float student.
        calibration: (N, C, H, W) images that set the activation ranges.
        scheme: How to quantize the network.

    Raises:
        InputError: If the quantizer kernels cannot be built, or if NNCF leaves a layer in float
            that `scheme.float_layers` does not name.
    """
    with _quiet():
        use_kernels(calibration.device, scheme.kernels)
    network = fold_batch_norms(network)
    batches = list(calibration.split(64))
    overflow = OverflowFix.ENABLE if scheme.half_range else OverflowFix.DISABLE
    ignored = [f"{name.replace('.', '/')}/.*" for name in scheme.float_layers]
    with _quiet():
        network = nncf.quantize(
            network,
            nncf.Dataset(batches),
            preset=nncf.QuantizationPreset.PERFORMANCE,
            target_device=nncf.TargetDevice.ANY,
            subset_size=len(batches),
            ignored_scope=nncf.IgnoredScope(patterns=ignored),
            advanced_parameters=AdvancedQuantizationParameters(overflow_fix=overflow),
        )
    if scheme.activation_bits < 8:
        keep_only_layer_inputs(network, calibration[:1])
    _require_quantized_layers(network, scheme.float_layers)
    _set_bits(network, scheme, calibration[:1])
    return network


def quantizers(network: nn.Module) -> Iterator[tuple[str, SymmetricQuantizer]]:
    """Yield the name and module of every fake-quantizer of a prepared network."""
    for name, hook in get_hook_storage(network).named_hooks():
        if isinstance(hook, SymmetricQuantizer):
            yield name, hook


def describe(network: nn.Module) -> dict[str, Any]:
    """Return NNCF's JSON description of the fake-quantizers of a prepared network."""
    return nncf.torch.get_config(network)  # type: ignore[no-any-return]


def restore(network: nn.Module, description: dict[str, Any], state: dict[str, Tensor]) -> nn.Module:
    """Rebuild a prepared network from its float form, in eval mode.

    Args:
        network: The float network that was prepared.
        description: The result of `describe` for the prepared network.
        state: The state dict of the prepared network.
    """
    with _quiet():
        restored: nn.Module = nncf.torch.load_from_config(fold_batch_norms(network), description)
    restored.load_state_dict(state)
    for _, quantizer in quantizers(restored):
        quantizer.set_levels()
    return restored.eval()


def to_torch_quantizers(network: nn.Module, example: Tensor) -> nn.Module:
    """Replace NNCF's quantizers by torch's own, which export to Q/DQ pairs."""
    with _quiet():
        stripped: nn.Module = nncf.strip(
            network.eval(), strip_format=nncf.StripFormat.NATIVE, example_input=example
        )
    return stripped


def layers_in_call_order(network: nn.Module, example: Tensor) -> list[nn.Module]:
    """Return the convolutions and linear layers in the order that a forward pass calls them."""
    order = _completion_order(network, example)
    return [module for module in order if isinstance(module, WEIGHT_LAYERS)]


@torch.no_grad()
def _completion_order(network: nn.Module, example: Tensor) -> list[nn.Module]:
    """Return layers and fake-quantizers in the order that a forward pass completes them."""
    completed: list[nn.Module] = []
    handles = [
        module.register_forward_hook(lambda module, *_: completed.append(module))
        for module in network.modules()
        if isinstance(module, (*WEIGHT_LAYERS, SymmetricQuantizer))
    ]
    network(example)
    for handle in handles:
        handle.remove()
    return completed


def _set_bits(network: nn.Module, scheme: Scheme, example: Tensor) -> None:
    """Set bits and signs. NNCF itself uses 8 bits only, and unsigned values after a ReLU."""
    layers = layers_in_call_order(network, example)
    of_images = image_quantizers(network, example) if scheme.activation_bits < 8 else set()
    of_edges = {
        quantizer
        for layer in (layers[0], layers[-1])
        for quantizer in _quantizers_of_layer(network, example, layer)
    }
    for _, quantizer in quantizers(network):
        bits = scheme.weight_bits if quantizer.per_channel else scheme.activation_bits
        if scheme.edge_bits and quantizer in of_edges:
            bits = scheme.edge_bits
        elif quantizer in of_images:
            bits = 8
        quantizer.num_bits = bits
        if scheme.activation_bits == 8:
            quantizer.signed = True


def _quantizers_of_layer(
    network: nn.Module, example: Tensor, layer: nn.Module
) -> list[SymmetricQuantizer]:
    """Return the quantizers of a layer's weights and input; none if the layer stays in float.

    A forward pass completes the input's quantizer first, then that of the weights, then the layer.
    """
    completed = _completion_order(network, example)
    *before, weights = completed[: completed.index(layer)] or [layer]
    if not isinstance(weights, SymmetricQuantizer) or not weights.per_channel:
        return []
    inputs = (
        q for q in reversed(before) if isinstance(q, SymmetricQuantizer) and not q.per_channel
    )
    return [weights, next(inputs)]


def _require_quantized_layers(network: nn.Module, float_layers: tuple[str, ...]) -> None:
    placed = {name for name, _ in quantizers(network)}
    for name, module in network.named_modules():
        if isinstance(module, WEIGHT_LAYERS) and name not in float_layers:
            prefix = f"pre_hooks.{name.replace('.', '/')}/"
            if not any(p.startswith(prefix) and p.endswith("__1.0") for p in placed):
                raise InputError(
                    f"quantize: NNCF left the layer {name} in float; "
                    "add it to quantize.float_layers if it may stay in float"
                )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Suppress progress bars and log lines of NNCF and torchao, which would mix with the output."""
    with Path(os.devnull).open("w") as devnull, contextlib.redirect_stdout(devnull):
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(logging.NOTSET)
