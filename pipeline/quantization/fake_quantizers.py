"""Add fake-quantizers to a network, describe and restore them, and convert them to torch's."""

import copy
from collections.abc import Iterator, Sequence
from typing import Any

import nncf
import torch
from nncf.common.quantization.structs import QuantizationScheme
from nncf.torch.function_hook.hook_storage import HookStorage
from nncf.torch.function_hook.wrapper import (
    get_hook_storage,
    register_post_function_hook,
    register_pre_function_hook,
)
from nncf.torch.quantization.layers import PTQuantizerSpec, SymmetricQuantizer
from torch import Tensor, nn
from torch.ao.quantization import FakeQuantize, MinMaxObserver, PerChannelMinMaxObserver

from base.notify import Advance, ignore
from dfkd.models.state_dicts import load_state
from pipeline.quantization.placement import Placement, place
from pipeline.quantization.quantizer_kernels import use_torch_kernels
from pipeline.quantization.ranges import activation_top, measure, weight_tops
from pipeline.quantization.scheme import Scheme
from pipeline.quantization.squared_error_ranges import squared_error_tops
from pipeline.tracing.batch_norm_folding import fixed_form
from pipeline.tracing.fixed_form import FixedForm
from pipeline.tracing.function_graph import FunctionGraph
from pipeline.tracing.layers import Layer, Source, Use
from pipeline.tracing.quiet import quiet

CALIBRATION_BATCH = 64


def prepare(
    network: nn.Module, calibration: Tensor, scheme: Scheme, advance: Advance = ignore
) -> FixedForm:
    """Return a copy with folded batch norms and calibrated fake-quantizers.

    Args:
        network: A float student.
        calibration: (N, C, H, W) images that set the activation ranges.
        scheme: How to quantize the network.
        advance: Receives the number of images after each batch of a calibration pass.

    Raises:
        InputError: If the network cannot be traced.
    """
    root = fixed_form(network, calibration[:2])
    add_quantizers(root, calibration, scheme, advance)
    return root


def add_quantizers(
    root: FixedForm, calibration: Tensor, scheme: Scheme, advance: Advance = ignore
) -> None:
    """Add calibrated fake-quantizers to a network. Arguments and errors as for `prepare`."""
    use_torch_kernels()
    placement = place(FunctionGraph(root, calibration[:2]), scheme)
    _register(root, placement, scheme, calibration.split(CALIBRATION_BATCH), advance)


@torch.no_grad()
def _register(
    root: FixedForm,
    placement: Placement,
    scheme: Scheme,
    batches: Sequence[Tensor],
    advance: Advance,
) -> None:
    ranges, weights = measure(root, placement, _counted(batches, advance))
    steps = _register_activations(root, placement, scheme, ranges, batches, advance)
    for quantized in placement.weights:
        layer = quantized.layer
        tops = weight_tops(
            weights[layer.name],
            quantized.axis,
            half_range=scheme.half_range,
            bias=None if layer.is_transposed else _bias(root, layer),
            input_step=min(steps[use.operation, use.port] for use in input_uses(layer)),
        )
        quantizer = _quantizer(tops, quantized.bits, signed=True, narrow=True)
        for call in layer.calls:
            assert call.weight is not None
            register_pre_function_hook(root, call.weight.operation, call.weight.port, quantizer)


def _register_activations(
    root: FixedForm,
    placement: Placement,
    scheme: Scheme,
    ranges: dict[Source, tuple[float, float]],
    batches: Sequence[Tensor],
    advance: Advance,
) -> dict[tuple[str, int], float]:
    """Add the quantizers of activations; return the step size at each argument that they feed."""
    tops = {source: activation_top(low, high) for source, (low, high) in ranges.items()}
    signed = {source: scheme.activation_bits == 8 or low < 0 for source, (low, _) in ranges.items()}
    levels = {
        activation.source: 2 ** (activation.bits - signed[activation.source]) - 1
        for activation in placement.activations
    }
    if scheme.ranges == "squared-error":
        tops = squared_error_tops(root, tops, levels, _counted(batches, advance))
    steps: dict[tuple[str, int], float] = {}
    for activation in placement.activations:
        source = activation.source
        top = torch.tensor([tops[source]], device=batches[0].device)
        quantizer = _quantizer(top, activation.bits, signed=signed[source], narrow=False)
        for use in activation.uses:
            steps[use.operation, use.port] = float(top) / levels[source]
        if activation.at_source:
            register_post_function_hook(root, source.operation, source.port, quantizer)
            continue
        for place_ in dict.fromkeys((use.operation, use.port) for use in activation.uses):
            register_pre_function_hook(root, *place_, quantizer)
    return steps


def _counted(batches: Sequence[Tensor], advance: Advance) -> Iterator[Tensor]:
    for images in batches:
        yield images
        advance(len(images))


def input_uses(layer: Layer) -> list[Use]:
    """Return where a layer reads activations, in all its calls."""
    return [use for call in layer.calls for use in call.inputs]


def _bias(root: FixedForm, layer: Layer) -> Tensor | None:
    """Return a layer's bias; None if it has none, or if the bias is a part of a parameter."""
    if layer.bias is None or layer.weight_shape is None:
        return None
    bias = root.get_tensor(layer.bias)
    return bias if bias.numel() == layer.weight_shape[layer.channel_axis] else None


def _quantizer(tops: Tensor, bits: int, *, signed: bool, narrow: bool) -> SymmetricQuantizer:
    shape = tuple(tops.shape)
    spec = PTQuantizerSpec(bits, QuantizationScheme.SYMMETRIC, signed, narrow, False, shape, False)
    quantizer = SymmetricQuantizer(spec).to(tops.device)
    with torch.no_grad():
        quantizer._scale_param_storage.copy_(tops)
    return quantizer


def quantizers(network: nn.Module) -> Iterator[tuple[str, SymmetricQuantizer]]:
    """Yield the name and module of every fake-quantizer of a prepared network."""
    for name, hook in get_hook_storage(network).named_hooks():
        if isinstance(hook, SymmetricQuantizer):
            yield name, hook


def describe(network: FixedForm) -> dict[str, Any]:
    """Return NNCF's JSON description of the fake-quantizers of a prepared network."""
    return nncf.torch.get_config(network)  # type: ignore[no-any-return]


def restore(
    network: nn.Module, example: Tensor, description: dict[str, Any], state: dict[str, Tensor]
) -> FixedForm:
    """Rebuild a prepared network from its float form, in eval mode.

    Args:
        network: The float network that was prepared.
        example: (N, C, H, W) images.
        description: The result of `describe` for the prepared network.
        state: The state dict of the prepared network.
    """
    use_torch_kernels()
    root = fixed_form(network, example)
    with quiet():
        nncf.torch.load_from_config(root, description)
    load_state(root, state)
    for _, quantizer in quantizers(root):
        quantizer.set_levels()
    return root.eval()


def to_torch_quantizers(network: FixedForm) -> FixedForm:
    """Return a copy with torch's quantizers in place of NNCF's; they export to Q/DQ pairs.

    A quantizer that is used in several places is converted only once.
    """
    network = copy.deepcopy(network).eval()
    storage = get_hook_storage(network)
    converted: dict[nn.Module, nn.Module] = {}
    for name, hook in list(storage.named_hooks(remove_duplicate=False)):
        if isinstance(hook, SymmetricQuantizer):
            if hook not in converted:
                converted[hook] = _torch_quantizer(hook)
            storage.set_submodule(name, converted[hook])
    return network


def _torch_quantizer(quantizer: SymmetricQuantizer) -> FakeQuantize:
    """Return torch's quantizer with the same levels and scales.

    NNCF's own conversion imports torchao, which takes several seconds.
    """
    quantizer.set_levels()
    low, high, scale, zero_point = quantizer.get_parameters_for_torch_fq()
    per_channel = quantizer.per_channel
    converted = FakeQuantize(
        observer=PerChannelMinMaxObserver if per_channel else MinMaxObserver,
        quant_min=low,
        quant_max=high,
        dtype=torch.qint8 if quantizer.level_low < 0 else torch.quint8,
        qscheme=torch.per_channel_symmetric if per_channel else torch.per_tensor_symmetric,
        eps=quantizer.eps,
    )
    converted.disable_observer()
    shape = quantizer.scale_shape
    converted.ch_axis = max(range(len(shape)), key=lambda axis: shape[axis])
    converted.scale = scale.flatten() if per_channel else scale.squeeze()
    converted.zero_point = zero_point.flatten() if per_channel else zero_point.squeeze()
    return converted


def steps_of(quantizer: SymmetricQuantizer) -> Tensor:
    """Return the step sizes of a quantizer as in the exported graph: one, or one per channel."""
    _, _, scale, _ = quantizer.get_parameters_for_torch_fq()
    steps: Tensor = scale.flatten()
    return steps


def quantizer_at(network: FixedForm, use: Use) -> SymmetricQuantizer | None:
    """Return the quantizer of a tensor that an operation reads, or None if there is none."""
    hooks = dict(get_hook_storage(network).named_hooks(remove_duplicate=False))
    source = use.source
    places = (
        f"pre_hooks.{HookStorage._generate_key(use.operation, use.port)}.0",
        f"post_hooks.{HookStorage._generate_key(source.operation, source.port)}.0",
    )
    found = (hooks.get(name) for name in places)
    return next((hook for hook in found if isinstance(hook, SymmetricQuantizer)), None)
