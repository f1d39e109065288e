"""Which fake-quantizers sit on images and on inputs of layers, by NNCF's graph of a network."""

from collections.abc import Iterator

import torch
from nncf.common.graph import NNCFGraph, NNCFNode
from nncf.torch.function_hook.nncf_graph.nncf_graph_builder import build_nncf_graph
from nncf.torch.function_hook.wrapper import get_hook_storage
from torch import Tensor, nn

LAYERS = ("conv2d", "conv_transpose2d", "linear")
"""What NNCF calls the arithmetic of layers."""

ENDS = ("symmetric_quantize", "add", "__add__", "__iadd__", "add_")
"""Where a value stops being what its quantizer made of it; other operations are followed on."""

RANGE = "._scale_param_storage"


@torch.no_grad()
def keep_layer_inputs_alone(network: nn.Module, example: Tensor) -> None:
    """Take away the fake-quantizers whose value reaches no layer, only sums and the answer.

    What stays is on weights and on inputs of layers, as in the code of published methods (GDFQ,
    after ZeroQ): an identity that a layer takes too is quantized, what is added to it is not.

    Args:
        network: As NNCF prepared it.
        example: (N, C, H, W) images.
    """
    storage, graph = get_hook_storage(network), build_nncf_graph(network, example)
    hooks = list(storage.named_hooks(remove_duplicate=False))
    for quantizer, uses in _quantizers(network, graph):
        if not any(_reaches_a_layer(graph, use) for use in uses):
            for name, hook in hooks:
                if hook is quantizer:
                    storage.delete_hook(name)


@torch.no_grad()
def on_images(network: nn.Module, example: Tensor) -> set[nn.Module]:
    """The fake-quantizers that images meet first; none where the images stay in float."""
    graph = build_nncf_graph(network, example)
    return {
        quantizer
        for quantizer, uses in _quantizers(network, graph)
        for use in uses
        for source in graph.get_previous_nodes(use)
        if source.node_type == "nncf_model_input"
    }


def _quantizers(network: nn.Module, graph: NNCFGraph) -> Iterator[tuple[nn.Module, list[NNCFNode]]]:
    """Every fake-quantizer with its uses: inputs of a concatenation share one."""
    hooks = dict(get_hook_storage(network).named_hooks(remove_duplicate=False))
    for node in graph.get_all_nodes():
        name = node.node_name.removeprefix("__nncf_hooks.").removesuffix(RANGE)
        if node.node_name == f"__nncf_hooks.{name}{RANGE}":
            yield hooks[name], graph.get_next_nodes(node)


def _reaches_a_layer(graph: NNCFGraph, node: NNCFNode) -> bool:
    return any(
        follower.node_type in LAYERS
        or (follower.node_type not in ENDS and _reaches_a_layer(graph, follower))
        for follower in graph.get_next_nodes(node)
    )
