"""The norms by which output channels are chosen."""

from torch import Tensor, nn

from pipeline.tracing import operations as op
from pipeline.tracing.batch_norm_folding import fixed_form
from pipeline.tracing.fixed_form import NETWORK_PREFIX
from pipeline.tracing.function_graph import FunctionGraph


def output_norms(network: nn.Module, example: Tensor) -> dict[str, Tensor]:
    """Return the Euclidean norm of each output channel's weights in each layer, by weight name.

    A batch norm behind a layer is folded into it first, because it can change the norm.

    Args:
        network: Any network that maps images to logits. It is not changed.
        example: (N, C, H, W) images, on the network's device.

    Returns:
        (outputs,) for each layer with a weight of its own, on the CPU in float64.

    Raises:
        InputError: As `fixed_form`.
    """
    root = fixed_form(network, example)
    found = {}
    for layer in FunctionGraph(root, example).layers:
        if layer.weight is None or layer.function not in op.LAYERS:
            continue
        weight = root.get_tensor(layer.weight).detach().double().cpu()
        by_channel = weight.movedim(layer.channel_axis, 0).flatten(1)
        found[layer.weight.removeprefix(NETWORK_PREFIX)] = by_channel.norm(dim=1)
    return found
