"""Folding batch norms into the convolutions before them, which is what runs on a device."""

import copy
from collections import Counter

from torch import fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from base.errors import InputError


class FrozenBatchNorm2d(nn.BatchNorm2d):
    """A batch norm that stays in eval mode: its statistics are those of the teacher's data."""

    def train(self, mode: bool = True) -> "FrozenBatchNorm2d":
        """Stay in eval mode, whatever the network around it is told."""
        super().train(False)
        return self


def folded(network: nn.Module) -> nn.Module:
    """A copy in eval mode whose convolutions carry the batch norms that follow them.

    The copy stays an ordinary module with the same names (NNCF treats a `GraphModule` by another,
    experimental backend). A batch norm stays, and stays in eval mode, where it does not directly
    follow a convolution, or where either of the two is called more than once.

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
            f"{type(network).__name__} cannot be traced, so its batch norms cannot be folded "
            f"(its forward may not branch on values): {str(error).splitlines()[0]}"
        ) from None
    calls = Counter(str(node.target) for node in graph.nodes if node.op == "call_module")
    for node in graph.nodes:
        if node.op != "call_module" or node.args[0].op != "call_module":
            continue
        source = node.args[0]
        convolution, norm = modules[str(source.target)], modules[str(node.target)]
        foldable = (
            isinstance(convolution, nn.Conv2d)
            and isinstance(norm, nn.BatchNorm2d)
            and norm.running_mean is not None
            and len(source.users) == 1
            # A module that is called again means something else there.
            and calls[str(source.target)] == calls[str(node.target)] == 1
        )
        if foldable:
            network.set_submodule(source.target, fuse_conv_bn_eval(convolution, norm))
            network.set_submodule(node.target, nn.Identity())
    for name, module in list(network.named_modules()):
        if isinstance(module, nn.BatchNorm2d) and module.running_mean is not None:
            network.set_submodule(name, _frozen(module))
    return network


def _frozen(norm: nn.BatchNorm2d) -> FrozenBatchNorm2d:
    frozen = FrozenBatchNorm2d(norm.num_features, norm.eps, norm.momentum, norm.affine)
    frozen.load_state_dict(norm.state_dict())
    return frozen.to(norm.running_mean.device).eval()  # type: ignore[union-attr]
