"""Find the fake-quantizers of images and of layer inputs in NNCF's graph of a network."""

from collections.abc import Iterator

import torch
from nncf.common.graph import NNCFGraph, NNCFNode
from nncf.torch.function_hook.nncf_graph.nncf_graph_builder import build_nncf_graph
from nncf.torch.function_hook.wrapper import get_hook_storage
from torch import Tensor, nn

LAYER_OPERATIONS = ("conv2d", "conv_transpose2d", "linear")
"""NNCF's names of the operations of quantized layers."""

BOUNDARY_OPERATIONS = ("symmetric_quantize", "add", "__add__", "__iadd__", "add_")
"""Operations whose output is no longer on the grid of the quantizer before them.

All other operations (ReLU, pooling, reshaping) pass the quantized value on.
"""

SCALE_SUFFIX = "._scale_param_storage"


@torch.no_grad()
def keep_only_layer_inputs(network: nn.Module, example: Tensor) -> None:
    """Delete the activation quantizers whose output reaches no layer, only sums and the logits.

    Quantizers of weights and of layer inputs are kept, as in the code of published methods (GDFQ,
    which follows ZeroQ). A skip connection that is also the input of a layer is quantized; the
    branch that is added to it is not.

    Args:
        network: A network that `nncf.quantize` returned. It is changed in place.
        example: (N, C, H, W) images.
    """
    storage, graph = get_hook_storage(network), build_nncf_graph(network, example)
    hooks = list(storage.named_hooks(remove_duplicate=False))
    for quantizer, users in _quantizers(network, graph):
        if not any(_reaches_a_layer(graph, user) for user in users):
            for name, hook in hooks:
                if hook is quantizer:
                    storage.delete_hook(name)


@torch.no_grad()
def image_quantizers(network: nn.Module, example: Tensor) -> set[nn.Module]:
    """Return the fake-quantizers that take the input images directly.

    Args:
        network: A network that `nncf.quantize` returned.
        example: (N, C, H, W) images.

    Returns:
        The quantizers; empty if the images stay in float.
    """
    graph = build_nncf_graph(network, example)
    return {
        quantizer
        for quantizer, users in _quantizers(network, graph)
        for user in users
        for source in graph.get_previous_nodes(user)
        if source.node_type == "nncf_model_input"
    }


def _quantizers(network: nn.Module, graph: NNCFGraph) -> Iterator[tuple[nn.Module, list[NNCFNode]]]:
    """Yield each fake-quantizer with its users. Inputs of one concatenation share a quantizer."""
    hooks = dict(get_hook_storage(network).named_hooks(remove_duplicate=False))
    for node in graph.get_all_nodes():
        name = node.node_name.removeprefix("__nncf_hooks.").removesuffix(SCALE_SUFFIX)
        if node.node_name == f"__nncf_hooks.{name}{SCALE_SUFFIX}":
            yield hooks[name], graph.get_next_nodes(node)


def _reaches_a_layer(graph: NNCFGraph, node: NNCFNode) -> bool:
    return any(
        follower.node_type in LAYER_OPERATIONS
        or (follower.node_type not in BOUNDARY_OPERATIONS and _reaches_a_layer(graph, follower))
        for follower in graph.get_next_nodes(node)
    )
