"""Build networks from the registry, torchvision or timm, or with a user's factory."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter

from base.errors import InputError, first_line
from dfkd.images import ImageSpec
from dfkd.models import build
from pipeline.config.architecture_names import check_architecture, kind_and_name
from pipeline.config.input_section import InputSection
from pipeline.config.network_sections import NetworkSection
from pipeline.teachers.factories import network_of_factory
from pipeline.teachers.library_networks import timm_network, torchvision_network
from pipeline.teachers.outputs import OutputError, pick_output


def image_spec(section: InputSection) -> ImageSpec:
    """Return the image specification of the run file's `input`."""
    return ImageSpec(section.shape, section.mean, section.std, section.value_range)


def build_section(section: NetworkSection, spec: ImageSpec, classes: int) -> nn.Module:
    """Return a newly initialised network, as a run file's `teacher` or `student` describes it.

    Args:
        section: The run file's `teacher` or `student`.
        spec: The images that the network takes.
        classes: Number of logits.

    Raises:
        InputError: As `build_network`.
    """
    return build_network(
        section.architecture,
        section.width,
        spec,
        classes,
        arguments=section.factory_arguments,
        output=section.output,
    )


def build_network(
    architecture: str,
    width: float,
    spec: ImageSpec,
    classes: int,
    *,
    arguments: Mapping[str, Any] | None = None,
    output: int | str | None = None,
) -> nn.Module:
    """Return a newly initialised network.

    Args:
        architecture: A registry name, a torchvision model name, `torchvision:NAME`, `timm:NAME`, or
            `package.module:factory`. The factory returns an `nn.Module`.
        width: Multiplier of the hidden widths, for registry names only.
        spec: The images that the network takes.
        classes: Number of logits.
        arguments: More keyword arguments, for all but registry names.
        output: The position or the name of the logits, if the network returns several outputs.

    Raises:
        InputError: If the architecture is unknown or cannot be built with these arguments.
    """
    given = arguments or {}
    check_architecture(architecture, width, given)
    kind, _ = kind_and_name(architecture)
    if kind == "registry":
        try:
            return build(architecture, spec, classes, width)
        except ValueError as error:
            raise InputError(f"architecture {architecture}: {error}") from None
    if kind == "torchvision":
        network = torchvision_network(architecture, classes, given)
    elif kind == "timm":
        network = timm_network(architecture, spec.shape[0], classes, given)
    else:
        network = network_of_factory(architecture, classes, given)
        _check_modules(network, architecture)
        _initialise_lazy_modules(network, spec, architecture)
    return pick_output(network, architecture, output)


def _check_modules(network: nn.Module, architecture: str) -> None:
    """Raise InputError if the network contains TorchScript, whose functions cannot be traced."""
    for name, module in network.named_modules():
        if isinstance(module, torch.jit.ScriptModule):
            where = f"its module {name}" if name else "the network"
            raise InputError(
                f"architecture {architecture}: {where} is TorchScript, which cannot be quantized; "
                "build the network without torch.jit.script and torch.jit.trace"
            )


def _initialise_lazy_modules(network: nn.Module, spec: ImageSpec, architecture: str) -> None:
    """Give lazy modules such as `nn.LazyLinear` the shapes that follow from the images.

    Raises:
        InputError: If the network does not take these images.
    """
    tensors = (*network.parameters(), *network.buffers())
    if not any(
        isinstance(tensor, UninitializedParameter | UninitializedBuffer) for tensor in tensors
    ):
        return
    try:
        with torch.no_grad():
            network.eval()(spec.normalise(torch.zeros(1, *spec.shape)))
    except Exception as error:  # Networks raise many types of errors for a wrong shape.
        raise InputError(
            f"architecture {architecture} cannot take images of shape {list(spec.shape)} "
            f"({first_line(error)}); correct input.shape or the architecture"
        ) from None
    network.train()


def _classes_of(logits: object) -> str:
    """Return the remedy if a network has another number of classes than the run file says."""
    if not isinstance(logits, Tensor) or logits.ndim != 2 or logits.shape[0] != 1:
        return ""
    count = logits.shape[1]
    return f"; set teacher.classes: {count} if the teacher has {count} classes" if count > 1 else ""


def logits_of_blank_image(network: nn.Module, spec: ImageSpec, classes: int, label: str) -> Tensor:
    """Return the logits (1, classes) of a network for a blank image, without gradients.

    Args:
        network: A network in eval mode, on any device.
        spec: The images that it takes.
        classes: The expected number of logits.
        label: Name of the network in error messages.

    Raises:
        InputError: If the network does not take such an image, if it returns several outputs, if
            its output has another shape, or if it changes from call to call.
    """
    device = next((tensor.device for tensor in network.state_dict().values()), None)
    blank = spec.normalise(torch.full((1, *spec.shape), spec.value_range[0], device=device))
    try:
        with torch.no_grad():
            logits, again = network(blank.clone()), network(blank)
    except OutputError:
        raise
    except Exception as error:  # Networks raise many types of errors for a wrong shape.
        raise InputError(
            f"{label} cannot take images of shape {list(spec.shape)} ({first_line(error)}); "
            "correct input.shape or the architecture"
        ) from None
    if not isinstance(logits, Tensor) or logits.shape != (1, classes):
        shape = list(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise InputError(
            f"{label} returns {shape} for one image, but teacher.classes: {classes} needs "
            f"[1, {classes}]{_classes_of(logits)}"
        )
    if not torch.allclose(logits, again, rtol=1e-3, atol=1e-5, equal_nan=True):
        raise InputError(
            f"{label} returns different logits for the same image in eval mode; remove random "
            "numbers from its forward method, such as F.dropout without training=self.training"
        )
    return logits
