"""Copy a network, and replace computed weights by plain parameters."""

import copy

from torch import Tensor, nn
from torch.nn.utils import parametrize, remove_spectral_norm, remove_weight_norm

from base.errors import InputError, first_line


def copy_with_plain_weights(network: nn.Module) -> nn.Module:
    """Return a copy in eval mode without weight norms, spectral norms and parametrizations.

    Args:
        network: Any network. Its weights are not changed.

    Raises:
        InputError: If the network cannot be copied.
    """
    _detach_cached_weights(network)
    try:
        network = copy.deepcopy(network).eval()
    except Exception as error:  # A user's module may define `__deepcopy__`.
        raise InputError(
            f"{type(network).__name__} cannot be copied: {first_line(error)}; "
            "keep no tensors that require gradients, locks or open files in its attributes"
        ) from None
    for module in list(network.modules()):
        if parametrize.is_parametrized(module):
            _bake_parametrizations(module)
        for hook in list(module._forward_pre_hooks.values()):
            name = getattr(hook, "name", "")
            if type(hook).__name__ == "WeightNorm":
                remove_weight_norm(module, name)
            elif type(hook).__name__ == "SpectralNorm":
                remove_spectral_norm(module, name)
                _remove_spectral_norm_hooks(module)
    return network


def _remove_spectral_norm_hooks(module: nn.Module) -> None:
    """Remove the hooks of `load_state_dict` that torch's older spectral norm leaves behind."""
    hooks = module._load_state_dict_pre_hooks
    for key, hook in list(hooks.items()):
        if type(getattr(hook, "hook", hook)).__name__.startswith("SpectralNorm"):
            del hooks[key]


def _bake_parametrizations(module: nn.Module) -> None:
    """Replace parametrized tensors by parameters.

    `parametrize.remove_parametrizations` would also change the class of the module that this one
    was copied from.
    """
    values = {name: getattr(module, name).detach() for name in module.parametrizations}  # type: ignore[union-attr]
    module.__class__ = parametrize.type_before_parametrizations(module)
    del module.parametrizations
    for name, value in values.items():
        module.register_parameter(name, nn.Parameter(value))


def _detach_cached_weights(network: nn.Module) -> None:
    """Detach weights that torch's older weight norm and spectral norm keep as plain attributes.

    `copy.deepcopy` refuses tensors that have a gradient function.
    """
    for module in network.modules():
        for hook in module._forward_pre_hooks.values():
            name = getattr(hook, "name", "")
            cached = module.__dict__.get(name)
            if isinstance(cached, Tensor) and cached.grad_fn is not None:
                module.__dict__[name] = cached.detach()
