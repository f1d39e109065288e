"""Build networks by name: from the registry, from torchvision, or by a user's factory."""

import importlib
import os

import torch
from torch import Tensor, nn

from base.errors import InputError, first_line
from base.suggest import did_you_mean
from dfkd.images import ImageSpec
from dfkd.models import ARCHITECTURES, build
from pipeline.config.sections import InputSection
from pipeline.teachers.torchvision_on_cpu import import_torchvision

FACTORIES_VARIABLE = "DATAFREE_EDGE_FACTORIES"
"""Environment variable: "allowed" (the default), or "refused" on a worker that runs the run files
of people who must not run code there."""


def image_spec(section: InputSection) -> ImageSpec:
    """Return the image specification of the run file's `input`."""
    return ImageSpec(section.shape, section.mean, section.std, section.value_range)


def build_network(architecture: str, width: float, spec: ImageSpec, classes: int) -> nn.Module:
    """Return a newly initialised network.

    Args:
        architecture: A registry name, a torchvision model name, or `package.module:factory`. The
            factory is called with `num_classes` and returns an `nn.Module`.
        width: Multiplier of the hidden widths, for registry names only.
        spec: The images that the network takes.
        classes: Number of logits.

    Raises:
        InputError: If the architecture is unknown or cannot be built with these arguments.
    """
    if architecture in ARCHITECTURES:
        try:
            return build(architecture, spec, classes, width)
        except ValueError as error:
            raise InputError(f"architecture {architecture}: {error}") from None
    if width != 1.0:
        raise InputError(
            f"architecture {architecture}: width {width:g} is set, but only registry architectures "
            "have a width; remove it"
        )
    if ":" in architecture:
        return _from_factory(architecture, classes)
    models = import_torchvision().models
    known = models.list_models()
    if architecture in known:
        network: nn.Module = models.get_model(architecture, weights=None, num_classes=classes)
        return network
    raise InputError(
        f"architecture {architecture!r} is neither in the registry nor in torchvision"
        f"{did_you_mean(architecture, [*ARCHITECTURES, *known])} "
        "(for a network of your own: package.module:factory)"
    )


def logits_of_blank_image(network: nn.Module, spec: ImageSpec, classes: int, label: str) -> Tensor:
    """Return the logits (1, classes) of a network for a blank image, without gradients.

    Args:
        network: A network in eval mode, on any device.
        spec: The images that it takes.
        classes: The expected number of logits.
        label: What error messages call the network.

    Raises:
        InputError: If the network does not take such an image, or its output has another shape.
    """
    device = next((tensor.device for tensor in network.state_dict().values()), None)
    blank = spec.normalise(torch.full((1, *spec.shape), spec.value_range[0], device=device))
    try:
        with torch.no_grad():
            logits = network(blank)
    except Exception as error:  # Networks raise many types for an input of the wrong shape.
        raise InputError(
            f"{label} cannot take images of shape {list(spec.shape)} ({first_line(error)}); "
            "correct input.shape or the architecture"
        ) from None
    if not isinstance(logits, Tensor) or logits.shape != (1, classes):
        shape = list(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise InputError(
            f"{label} returns {shape} for one image, but teacher.classes: {classes} needs "
            f"[1, {classes}]"
        )
    return logits


def _require_factories_allowed(architecture: str) -> None:
    setting = os.environ.get(FACTORIES_VARIABLE, "allowed")
    if setting == "refused":
        raise InputError(
            f"architecture {architecture}: a factory imports code, which this machine refuses; "
            f"choose a registry or torchvision name, or set {FACTORIES_VARIABLE}=allowed"
        )
    if setting != "allowed":
        raise InputError(f"{FACTORIES_VARIABLE} is {setting!r}; set it to refused or allowed")


def _from_factory(architecture: str, classes: int) -> nn.Module:
    _require_factories_allowed(architecture)
    module_name, _, name = architecture.partition(":")
    if module_name.startswith("torchvision"):
        import_torchvision()
    try:
        factory = getattr(importlib.import_module(module_name), name)
    except ModuleNotFoundError as error:
        raise InputError(
            f"architecture {architecture}: {error}; add its folder to PYTHONPATH, or install it"
        ) from None
    except Exception as error:  # The user's module can raise anything.
        raise InputError(
            f"architecture {architecture}: importing it failed: {first_line(error)}"
        ) from None
    try:
        network = factory(num_classes=classes)
    except Exception as error:
        reason = f"factory(num_classes={classes}) failed: {first_line(error)}"
        raise InputError(f"architecture {architecture}: {reason}") from None
    if not isinstance(network, nn.Module):
        raise InputError(
            f"architecture {architecture}: the factory returned {type(network).__name__}, "
            "not an nn.Module"
        )
    return network
