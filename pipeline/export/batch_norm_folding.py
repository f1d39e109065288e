"""Fold each batch norm into the convolution before it, as inference runtimes do."""

import copy
from collections import Counter

from torch import fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from base.errors import InputError


class FrozenBatchNorm2d(nn.BatchNorm2d):
    """A batch norm that always stays in eval mode and keeps its running statistics."""

    def train(self, mode: bool = True) -> "FrozenBatchNorm2d":
        """Stay in eval mode, also when the network around it is put into train mode."""
        super().train(False)
        return self


def fold_batch_norms(network: nn.Module) -> nn.Module:
    """Return a copy of a network with its batch norms folded into its convolutions.

    The copy is an ordinary module with the same parameter names, because NNCF handles a
    `GraphModule` with a different, experimental backend. A batch norm is kept, frozen in eval mode,
    if it does not directly follow a convolution, or if either of the two is called more than once.

    Args:
        network: Any module that torch.fx can trace. It is not changed.

    Returns:
        The folded copy, in eval mode. Its outputs equal those of `network` in eval mode up to
        rounding.

    Raises:
        InputError: If torch.fx cannot trace the network.
    """
    network = copy.deepcopy(network).eval()
    modules = dict(network.named_modules())
    try:
        graph = fx.Tracer().trace(network)
    except Exception as error:  # fx passes on any exception that the traced code raises
        raise InputError(
            f"{type(network).__name__} cannot be traced by torch.fx, so its batch norms cannot be "
            f"folded: {str(error).splitlines()[0]}; "
            "remove branches on tensor values from its forward method"
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
            # A module that is called twice would be folded for one of the calls only.
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
