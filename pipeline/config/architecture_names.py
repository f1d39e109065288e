"""Interpret and check the names of architectures in a run file. Imports no torch.

- `resnet20`: a name in the registry, which is `dfkd.models.ARCHITECTURES`
- `mobilenet_v2`: if the registry lacks it, a model of torchvision
- `torchvision:NAME`: always a model of torchvision
- `timm:NAME`: always a model of timm
- `package.module:NAME`: a factory of the user
"""

from collections.abc import Mapping
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from base.errors import InputError
from dfkd.models import ARCHITECTURES
from pipeline.config.schema import RunConfig
from pipeline.store.code_digest import factory_digest

Kind = Literal["registry", "torchvision", "timm", "factory"]

EXTRAS = {"torchvision": "train", "timm": "timm"}
"""The extra of this project that installs a library of models."""

SET_ELSEWHERE: dict[Kind, tuple[str, ...]] = {
    "factory": ("num_classes",),
    "torchvision": ("name", "num_classes", "weights", "weights_backbone"),
    "timm": (
        "model_name",
        "num_classes",
        "in_chans",
        "pretrained",
        "pretrained_cfg",
        "pretrained_cfg_overlay",
        "checkpoint_path",
    ),
}
"""Arguments that other keys of the run file determine. Weights must come from
`teacher.weights`, which is read without running code and is part of the cache keys."""


def kind_and_name(architecture: str) -> tuple[Kind, str]:
    """Return the kind of an architecture, and its name without the prefix.

    Examples:
        >>> kind_and_name("resnet18"), kind_and_name("torchvision:resnet18")
        (('registry', 'resnet18'), ('torchvision', 'resnet18'))
        >>> kind_and_name("timm:resnet18"), kind_and_name("timm.models:resnet18")
        (('timm', 'resnet18'), ('factory', 'timm.models:resnet18'))
    """
    if architecture in ARCHITECTURES:
        return "registry", architecture
    prefix, colon, name = architecture.partition(":")
    if not colon:
        return "torchvision", architecture
    if prefix == "torchvision":
        return "torchvision", name
    if prefix == "timm":
        return "timm", name
    return "factory", architecture


def is_explicit(architecture: str) -> bool:
    """Return whether a name has the prefix `torchvision:` or `timm:`."""
    return ":" in architecture and kind_and_name(architecture)[0] in EXTRAS


def check_architectures(config: RunConfig) -> None:
    """Check teacher and student as `check_architecture` does.

    Raises:
        InputError: As `check_architecture`.
    """
    for section in (config.teacher, config.student):
        if section != "same" and section.architecture:
            check_architecture(section.architecture, section.width, section.factory_arguments)


def check_architecture(architecture: str, width: float, arguments: Mapping[str, Any]) -> None:
    """Check an architecture as far as possible without importing torch.

    Args:
        architecture: The name, as in a run file.
        width: The multiplier of its hidden widths.
        arguments: The run file's `factory_arguments`.

    Raises:
        InputError: If it has no width, does not take these arguments, or needs a library that is
            not installed.
    """
    kind, _ = kind_and_name(architecture)
    if kind == "registry":
        if arguments:
            raise InputError(
                f"architecture {architecture}: factory_arguments has {min(arguments)}, but a "
                "registry architecture takes no arguments; remove factory_arguments"
            )
        return
    if width != 1.0:
        raise InputError(
            f"architecture {architecture}: width {width:g} is set, but only registry architectures "
            "have a width; remove it"
        )
    for name in arguments:
        if name in SET_ELSEWHERE[kind]:
            raise InputError(
                f"architecture {architecture}: factory_arguments has {name}, which follows from "
                "teacher.weights, teacher.classes and input.shape; remove it"
            )
    if is_explicit(architecture):
        library_version(kind, architecture)
        _require_not_hidden(kind, architecture)


def library_version(library: str, architecture: str) -> str:
    """Return the installed version of torchvision or timm, without importing it.

    Args:
        library: A key of `EXTRAS`.
        architecture: The architecture that needs it, for the error message.

    Raises:
        InputError: If it is not installed.
    """
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        raise InputError(
            f"architecture {architecture}: {library} is not installed; "
            f"run: pip install 'datafree-edge[{EXTRAS[library]}]'"
        ) from None


def code_version(architecture: str) -> str | None:
    """Return an identifier of an architecture's code, for cache keys.

    Returns:
        The digest of a factory, the version of the library for `torchvision:NAME` and `timm:NAME`,
        and None for other names.

    Raises:
        InputError: If the factory's module does not exist, or the library is not installed.
    """
    if not is_explicit(architecture):
        return factory_digest(architecture)
    kind, _ = kind_and_name(architecture)
    return f"{kind} {library_version(kind, architecture)}"


def _require_not_hidden(library: str, architecture: str) -> None:
    """Raise InputError if another module of the same name would be imported instead."""
    installed = Path(str(metadata.distribution(library).locate_file(f"{library}/__init__.py")))
    spec = find_spec(library)
    # An editable installation has its files elsewhere.
    if installed.is_file() and spec is not None and spec.origin is not None:
        found = Path(spec.origin)
        if not found.samefile(installed):
            raise InputError(
                f"architecture {architecture}: the module {found} hides the library {library}; "
                "rename it, or take its folder out of PYTHONPATH"
            )
