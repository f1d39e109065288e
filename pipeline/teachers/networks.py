"""Networks by name: the registry, torchvision's models, or a factory of the user's own."""

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


def image_spec(section: InputSection) -> ImageSpec:
    """The run file's `input` as the science sees it."""
    return ImageSpec(section.shape, section.mean, section.std, section.value_range)


def build_network(architecture: str, width: float, spec: ImageSpec, classes: int) -> nn.Module:
    """A freshly initialised network.

    Args:
        architecture: A registry name, a torchvision model name, or `package.module:factory`; the
            factory is called with `num_classes` and returns an `nn.Module`.
        width: Multiplier of the hidden widths, for registry names only.
        spec: The images it takes.
        classes: Number of logits.

    Raises:
        InputError: When there is no such architecture, or it cannot be built so.
    """
    if architecture in ARCHITECTURES:
        try:
            return build(architecture, spec, classes, width)
        except ValueError as error:
            raise InputError(f"architecture {architecture}: {error}") from None
    if width != 1.0:
        raise InputError(f"architecture {architecture}: width goes with registry names only")
    if ":" in architecture:
        return _from_factory(architecture, classes)
    models = import_torchvision().models
    known = models.list_models()
    if architecture in known:
        network: nn.Module = models.get_model(architecture, weights=None, num_classes=classes)
        return network
    raise InputError(
        f"architecture {architecture!r} is neither in the registry nor in torchvision"
        f"{did_you_mean(architecture, [*ARCHITECTURES, *known])} (your own: package.module:factory)"
    )


def answer_to_blank(network: nn.Module, spec: ImageSpec, classes: int, whose: str) -> Tensor:
    """Logits (1, classes) of a network in eval mode for a blank image.

    Args:
        network: On any device.
        spec: The images it takes.
        classes: Number of logits it must give.
        whose: The network's name, for an error.

    Raises:
        InputError: When it takes no such image, or answers in another shape.
    """
    device = next((tensor.device for tensor in network.state_dict().values()), None)
    blank = spec.normalise(torch.full((1, *spec.shape), spec.value_range[0], device=device))
    try:
        with torch.no_grad():
            logits = network(blank)
    except Exception as error:  # Networks complain of a shape in many ways.
        raise InputError(
            f"{whose} cannot take images of shape {list(spec.shape)} ({first_line(error)})"
        ) from None
    if not isinstance(logits, Tensor) or logits.shape != (1, classes):
        shape = list(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise InputError(
            f"{whose} answers with {shape} where classes: {classes} asks for [1, {classes}]"
        )
    return logits


FACTORIES = "DATAFREE_EDGE_FACTORIES"
"""Environment variable; "refused" where run files of several people are run, else "allowed"."""


def _check_factories(architecture: str) -> None:
    said = os.environ.get(FACTORIES, "allowed")
    if said == "refused":
        raise InputError(
            f"architecture {architecture}: imports code, which this worker refuses ({FACTORIES})"
        )
    if said != "allowed":
        raise InputError(f"{FACTORIES} is {said!r}; set it to refused or allowed")


def _from_factory(architecture: str, classes: int) -> nn.Module:
    _check_factories(architecture)
    module_name, _, name = architecture.partition(":")
    if module_name.startswith("torchvision"):
        import_torchvision()
    try:
        factory = getattr(importlib.import_module(module_name), name)
    except ModuleNotFoundError as error:
        raise InputError(
            f"architecture {architecture}: {error}; name its folder in PYTHONPATH, or install it"
        ) from None
    except Exception as error:  # Whatever the user's module raises.
        raise InputError(f"architecture {architecture}: {first_line(error)}") from None
    try:
        network = factory(num_classes=classes)
    except Exception as error:
        why = f"factory(num_classes={classes}) fails: {first_line(error)}"
        raise InputError(f"architecture {architecture}: {why}") from None
    if not isinstance(network, nn.Module):
        raise InputError(f"architecture {architecture}: the factory returned no nn.Module")
    return network
