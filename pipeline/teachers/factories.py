"""Build a network with a user's factory."""

import inspect
from collections.abc import Mapping
from typing import Any

from torch import nn

from base.errors import InputError, first_line
from pipeline.config.own_code import import_own_module, require_own_code_allowed
from pipeline.teachers.torchvision_on_cpu import import_torchvision

NEED_TORCHVISION = ("torchvision", "timm")
"""Packages that import torchvision. `import_torchvision` must run first if torch is a CPU build."""


def network_of_factory(architecture: str, classes: int, arguments: Mapping[str, Any]) -> nn.Module:
    """Import a factory and return the network that it makes.

    Args:
        architecture: `package.module:factory`.
        classes: Number of logits, passed to the factory as `num_classes` if it has a parameter of
            that name.
        arguments: More keyword arguments.

    Raises:
        InputError: If factories are refused, or if the factory cannot be imported, fails or returns
            no network.
    """
    require_own_code_allowed(
        f"architecture {architecture}: a factory",
        "choose a name of the registry, of torchvision or of timm",
    )
    module_name, _, name = architecture.partition(":")
    if module_name.split(".")[0] in NEED_TORCHVISION:
        import_torchvision()
    module = import_own_module(f"architecture {architecture}", module_name)
    if not hasattr(module, name):
        raise InputError(
            f"architecture {architecture}: {module_name} has no {name!r}; define the factory there"
        )
    factory = getattr(module, name)
    given = {"num_classes": classes, **arguments} if _takes_classes(factory) else arguments
    return called(factory, given, architecture, "factory")


def _takes_classes(factory: Any) -> bool:
    """Return whether a function or class can be called with `num_classes`."""
    try:
        parameters = inspect.signature(factory).parameters.values()
    except (TypeError, ValueError):  # Not callable, or written in C.
        return True
    return any(p.name == "num_classes" or p.kind is p.VAR_KEYWORD for p in parameters)


def called(factory: Any, arguments: Mapping[str, Any], architecture: str, label: str) -> nn.Module:
    """Call a function that makes a network.

    Args:
        factory: The function.
        arguments: Its keyword arguments.
        architecture: The architecture's name in the run file, for error messages.
        label: Name of the function in error messages.

    Raises:
        InputError: If the function fails or returns no network.
    """
    try:
        network = factory(**arguments)
    except Exception as error:  # The function can raise anything.
        listed = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
        raise InputError(
            f"architecture {architecture}: {label}({listed}) failed: {first_line(error)}; "
            "correct the architecture, or factory_arguments beside it"
        ) from None
    if not isinstance(network, nn.Module):
        raise InputError(
            f"architecture {architecture}: the {label} returned {type(network).__name__}, "
            "not an nn.Module"
        )
    return network
