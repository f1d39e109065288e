"""Fake-quantizers on what no layer takes: runtimes want them at eight bits, papers at none."""

import torch
from nncf.common.graph import NNCFGraph, NNCFNode
from nncf.torch.function_hook.nncf_graph.nncf_graph_builder import build_nncf_graph
from nncf.torch.function_hook.wrapper import get_hook_storage
from torch import Tensor, nn

OPERATIONS = ("conv1d", "conv2d", "conv3d", "conv_transpose2d", "linear")
"""What NNCF calls the layers' arithmetic in its graph."""

ENDS = ("symmetric_quantize", "add", "__add__", "__iadd__", "add_")
"""Where a value stops being what its quantizer made of it."""

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
    storage = get_hook_storage(network)
    graph = build_nncf_graph(network, example)
    for node in graph.get_all_nodes():
        name = node.node_name.removeprefix("__nncf_hooks.").removesuffix(RANGE)
        if node.node_name == f"__nncf_hooks.{name}{RANGE}":
            (quantizer,) = graph.get_next_nodes(node)
            if not _reaches_a_layer(graph, quantizer):
                storage.delete_hook(name)


def _reaches_a_layer(graph: NNCFGraph, node: NNCFNode) -> bool:
    return any(
        follower.node_type in OPERATIONS
        or (follower.node_type not in ENDS and _reaches_a_layer(graph, follower))
        for follower in graph.get_next_nodes(node)
    )
