"""Networks of the registry, of torchvision and of timm, with random weights."""

from typing import Any

from torch import nn

from benchmarks.teacher_files.file import CLASSES
from dfkd.images import ImageSpec
from dfkd.models import build
from pipeline.teachers.torchvision_on_cpu import import_torchvision


def of_registry(name: str, shape: tuple[int, int, int]) -> nn.Module:
    """Return a network of this project."""
    spec = ImageSpec(shape, (0.0,) * shape[0], (1.0,) * shape[0])
    return build(name, spec, CLASSES)


def of_torchvision(name: str) -> nn.Module:
    """Return a network of torchvision."""
    options: dict[str, Any] = {"init_weights": True} if name == "googlenet" else {}
    network: nn.Module = import_torchvision().models.get_model(
        name, weights=None, num_classes=CLASSES, **options
    )
    return network


def of_timm(name: str, **arguments: Any) -> nn.Module:
    """Return a network of timm."""
    import_torchvision()
    import timm

    network: nn.Module = timm.create_model(name, num_classes=CLASSES, **arguments)
    return network
