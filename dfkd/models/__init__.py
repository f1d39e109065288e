"""The registry of teacher and student architectures, by the name a run file uses."""

from collections.abc import Callable
from functools import partial

from torch import nn

from dfkd.images import ImageSpec
from dfkd.models.cifar_resnet import CifarResNet
from dfkd.models.lenet import LeNet5
from dfkd.models.resnet import ResNet
from dfkd.models.wide_resnet import WideResNet


def _lenet(half: bool, batch_norm: bool) -> Callable[[ImageSpec, int, float], nn.Module]:
    def build(spec: ImageSpec, classes: int, width: float) -> nn.Module:
        channels, height, breadth = spec.shape
        if height != breadth:
            raise ValueError(f"LeNet-5 takes square images, not {height}x{breadth}")
        return LeNet5(channels, height, classes, width * (0.5 if half else 1.0), batch_norm)

    return build


def _convolutional(
    family: Callable[..., nn.Module],
) -> Callable[[ImageSpec, int, float], nn.Module]:
    def build(spec: ImageSpec, classes: int, width: float) -> nn.Module:
        return family(channels=spec.shape[0], classes=classes, width=width)

    return build


ARCHITECTURES: dict[str, Callable[[ImageSpec, int, float], nn.Module]] = {
    "lenet5": _lenet(half=False, batch_norm=False),
    "lenet5-half": _lenet(half=True, batch_norm=False),
    "lenet5-bn": _lenet(half=False, batch_norm=True),
    "lenet5-half-bn": _lenet(half=True, batch_norm=True),
    "resnet20": _convolutional(partial(CifarResNet, 20)),
    "resnet32": _convolutional(partial(CifarResNet, 32)),
    "resnet56": _convolutional(partial(CifarResNet, 56)),
    "resnet18": _convolutional(partial(ResNet, (2, 2, 2, 2))),
    "resnet34": _convolutional(partial(ResNet, (3, 4, 6, 3))),
    "wrn-16-1": _convolutional(partial(WideResNet, 16, 1)),
    "wrn-16-2": _convolutional(partial(WideResNet, 16, 2)),
    "wrn-40-1": _convolutional(partial(WideResNet, 40, 1)),
    "wrn-40-2": _convolutional(partial(WideResNet, 40, 2)),
}


def build(name: str, spec: ImageSpec, classes: int, width: float = 1.0) -> nn.Module:
    """A freshly initialised network from the registry.

    Args:
        name: A key of `ARCHITECTURES`.
        spec: The images it takes.
        classes: Number of logits.
        width: Multiplier of the hidden widths.

    Raises:
        KeyError: For a name that is not registered.
        ValueError: When the architecture cannot take such images.
    """
    return ARCHITECTURES[name](spec, classes, width)
