"""The table of teacher and student architectures. A new one needs a row here and a class."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dfkd.references import module_of


@dataclass(frozen=True)
class Architecture:
    """A reference to a network, with its properties that are needed before it is built.

    Attributes:
        network: Reference to a class that takes `channels`, `classes`, `width` and `options`.
        family: Networks of one family have the same stages, so that their feature maps can be
            compared.
        batch_norm: Whether it has batch norm.
        options: Further keyword arguments of the class.
        width: Factor by which the requested width is multiplied.
        takes_size: Whether the class takes the size of the images, which must be square.
    """

    network: str
    family: str
    batch_norm: bool
    options: Mapping[str, Any] = field(default_factory=dict)
    width: float = 1.0
    takes_size: bool = False


def _lenet(batch_norm: bool, width: float = 1.0) -> Architecture:
    return Architecture(
        "dfkd.models.lenet:LeNet5",
        "lenet",
        batch_norm,
        {"batch_norm": batch_norm},
        width,
        takes_size=True,
    )


def _cifar_resnet(depth: int) -> Architecture:
    return Architecture(
        "dfkd.models.cifar_resnet:CifarResNet", "cifar-resnet", True, {"depth": depth}
    )


def _resnet(*blocks: int) -> Architecture:
    return Architecture("dfkd.models.resnet:ResNet", "resnet", True, {"blocks": blocks})


def _wide_resnet(depth: int, widen: int) -> Architecture:
    return Architecture(
        "dfkd.models.wide_resnet:WideResNet",
        "wide-resnet",
        True,
        {"depth": depth, "widen": widen},
    )


ARCHITECTURES: dict[str, Architecture] = {
    "lenet5": _lenet(batch_norm=False),
    "lenet5-half": _lenet(batch_norm=False, width=0.5),
    "lenet5-bn": _lenet(batch_norm=True),
    "lenet5-half-bn": _lenet(batch_norm=True, width=0.5),
    "resnet8": _cifar_resnet(8),
    "resnet20": _cifar_resnet(20),
    "resnet32": _cifar_resnet(32),
    "resnet56": _cifar_resnet(56),
    "resnet18": _resnet(2, 2, 2, 2),
    "resnet34": _resnet(3, 4, 6, 3),
    "wrn-16-1": _wide_resnet(16, 1),
    "wrn-16-2": _wide_resnet(16, 2),
    "wrn-40-1": _wide_resnet(40, 1),
    "wrn-40-2": _wide_resnet(40, 2),
}
"""Every architecture by its name in a run file. Other networks are checked when they are loaded."""


def modules_of(name: str) -> tuple[str, ...]:
    """Return the modules that implement an architecture, without importing them.

    Args:
        name: A key of `ARCHITECTURES`; for other names the result is empty.

    Examples:
        >>> modules_of("resnet20")
        ('dfkd.models.cifar_resnet', 'dfkd.models.construction')
        >>> modules_of("my.module:make")
        ()
    """
    if name not in ARCHITECTURES:
        return ()
    return tuple(sorted(("dfkd.models.construction", module_of(ARCHITECTURES[name].network))))
