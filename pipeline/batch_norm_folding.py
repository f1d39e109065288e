"""Folding batch norms into the convolutions before them, which is what runs on a device."""

import copy

from torch import fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from pipeline.errors import InputError


def folded(network: nn.Module) -> nn.Module:
    """A copy in eval mode whose convolutions carry the batch norms that follow them.

    The copy stays an ordinary module with the same names (NNCF treats a `GraphModule` by another,
    experimental backend). A batch norm that does not directly follow a convolution stays.

    Raises:
        InputError: When the network's control flow depends on its input, so that it cannot be
            traced.
    """
    network = copy.deepcopy(network).eval()
    modules = dict(network.named_modules())
    try:
        graph = fx.Tracer().trace(network)
    except Exception as error:  # fx raises whatever the traced code raises on a proxy
        raise InputError(
            f"{type(network).__name__} cannot be traced, so its batch norms cannot be folded: "
            f"{str(error).splitlines()[0]}"
        ) from None
    for node in graph.nodes:
        norm = modules.get(str(node.target)) if node.op == "call_module" else None
        if not isinstance(norm, nn.BatchNorm2d):
            continue
        source = node.args[0]
        convolution = modules.get(str(source.target)) if source.op == "call_module" else None
        if isinstance(convolution, nn.Conv2d) and len(source.users) == 1:
            network.set_submodule(source.target, fuse_conv_bn_eval(convolution, norm))
            network.set_submodule(node.target, nn.Identity())
    return network
