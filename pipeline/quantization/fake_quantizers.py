"""NNCF's fake-quantizers, as TensorRT and ONNX Runtime want them. NNCF's glue is here.

Weights symmetric per output channel, activations symmetric per tensor, zero point 0.
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
from pipeline.export.batch_norm_folding import folded
from pipeline.quantization.layer_inputs import keep_layer_inputs_alone, on_images
from pipeline.quantization.quantizer_kernels import Kernels, use_kernels
from pipeline.teachers.weight_layers import WEIGHT_LAYERS


@dataclass(frozen=True)
class Scheme:
    """How a network is quantized.

    Attributes:
        weight_bits: Of the weights.
        activation_bits: Of the activations. At 8 bits all are signed, as devices want them. Below,
            where nothing is exported, it is as published methods have it (GDFQ's code): unsigned
            where no value is negative, and in float what no layer takes. Unlike there, where only
            what a ReLU gives is quantized, images have the 8 bits they come in, and what is pooled
            before the last layer has as many as all others.
        edge_bits: Of weights and inputs of the first and the last layer, images too; None treats
            them as above.
        half_range: Keep int8 weights within +-64.
        float_layers: Names of layers that stay in float.
        kernels: What the quantizers compute with.
    """

    weight_bits: int = 8
    activation_bits: int = 8
    edge_bits: int | None = None
    half_range: bool = False
    float_layers: tuple[str, ...] = ()
    kernels: Kernels = "compiled"


def prepare(network: nn.Module, calibration: Tensor, scheme: Scheme) -> nn.Module:
    """A copy with batch norms folded, fake-quantizers placed and their ranges calibrated.

    Args:
        network: A float student.
        calibration: (N, C, H, W) images from which activation ranges are taken.
        scheme: What to quantize how.

    Raises:
        InputError: When the quantizer kernels cannot be built, or a layer was left in float that
            the scheme does not name.
    """
    with _quiet():
        use_kernels(calibration.device, scheme.kernels)
    network = folded(network)
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
        keep_layer_inputs_alone(network, calibration[:1])
    _require_quantized_layers(network, scheme.float_layers)
    _set_levels(network, scheme, calibration[:1])
    return network


def quantizers(network: nn.Module) -> Iterator[tuple[str, SymmetricQuantizer]]:
    """Every fake-quantizer with its place in the network."""
    for name, hook in get_hook_storage(network).named_hooks():
        if isinstance(hook, SymmetricQuantizer):
            yield name, hook


def describe(network: nn.Module) -> dict[str, Any]:
    """NNCF's JSON description of where the fake-quantizers of a prepared network sit."""
    return nncf.torch.get_config(network)  # type: ignore[no-any-return]


def restore(network: nn.Module, description: dict[str, Any], state: dict[str, Tensor]) -> nn.Module:
    """The prepared network that `describe` described, from the float one and its saved state."""
    with _quiet():
        restored: nn.Module = nncf.torch.load_from_config(folded(network), description)
    restored.load_state_dict(state)
    for _, quantizer in quantizers(restored):
        quantizer.set_levels()
    return restored.eval()


def to_torch_quantizers(network: nn.Module, example: Tensor) -> nn.Module:
    """Exchange NNCF's quantizers for torch's own, which export to QuantizeLinear and back."""
    with _quiet():
        stripped: nn.Module = nncf.strip(
            network.eval(), strip_format=nncf.StripFormat.NATIVE, example_input=example
        )
    return stripped


def layers_in_order(network: nn.Module, example: Tensor) -> list[nn.Module]:
    """Convolutions and linear layers in the order in which a pass calls them."""
    return [module for module in _called(network, example) if isinstance(module, WEIGHT_LAYERS)]


@torch.no_grad()
def _called(network: nn.Module, example: Tensor) -> list[nn.Module]:
    """Layers and fake-quantizers in the order in which a pass is through with them."""
    called: list[nn.Module] = []
    handles = [
        module.register_forward_hook(lambda module, *_: called.append(module))
        for module in network.modules()
        if isinstance(module, (*WEIGHT_LAYERS, SymmetricQuantizer))
    ]
    network(example)
    for handle in handles:
        handle.remove()
    return called


def _set_levels(network: nn.Module, scheme: Scheme, example: Tensor) -> None:
    """NNCF itself places eight bits only, and counts from 0 to 255 after a ReLU."""
    layers = layers_in_order(network, example)
    images = on_images(network, example) if scheme.activation_bits < 8 else set()
    edges = {q for layer in (layers[0], layers[-1]) for q in _around(network, example, layer)}
    for _, quantizer in quantizers(network):
        bits = scheme.weight_bits if quantizer.per_channel else scheme.activation_bits
        if scheme.edge_bits and quantizer in edges:
            bits = scheme.edge_bits
        elif quantizer in images:
            bits = 8
        quantizer.num_bits = bits
        if scheme.activation_bits == 8:
            quantizer.signed = True


def _around(network: nn.Module, example: Tensor, layer: nn.Module) -> list[SymmetricQuantizer]:
    """The quantizers of a layer's weights and of its input; none for one that stays in float.

    A pass is through with an input's quantizer, then with that of the weights, then with the layer.
    """
    called = _called(network, example)
    *before, weights = called[: called.index(layer)] or [layer]
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
            place = f"pre_hooks.{name.replace('.', '/')}/"
            if not any(p.startswith(place) and p.endswith("__1.0") for p in placed):
                raise InputError(
                    f"quantize: NNCF left the layer {name} in float; "
                    "name it in quantize.float_layers if it may stay so"
                )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the progress bars and remarks of NNCF and torchao, which would break into ours."""
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(logging.NOTSET)
