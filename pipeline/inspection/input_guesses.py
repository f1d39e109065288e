"""Guess the images that a network takes. No weights file says so."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any

from pipeline.config.architecture_names import kind_and_name
from pipeline.inspection.architecture_search import IMAGENET_CLASSES, Match
from pipeline.teachers.torchvision_on_cpu import import_torchvision


@dataclass(frozen=True)
class InputGuess:
    """The run file's `input`.

    Attributes:
        size: Height and width.
        mean: One value per channel.
        std: One value per channel.
        source: Where the values are from.
        pictures: How pictures are prepared: `resize`, `crop` and `interpolation`; empty if the
            network's library does not say it.
    """

    size: tuple[int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    source: str
    pictures: Mapping[str, int | str] = field(default_factory=dict)


MNIST = InputGuess((32, 32), (0.1307,), (0.3081,), "MNIST at 32x32")

CIFAR10 = InputGuess((32, 32), (0.4914, 0.4822, 0.4465), (0.247, 0.2435, 0.2616), "CIFAR-10")

CIFAR100 = InputGuess((32, 32), (0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762), "CIFAR-100")

IMAGENET = InputGuess((224, 224), (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), "ImageNet")


def guess_input(match: Match | None, channels: int, classes: int, file: str = "") -> InputGuess:
    """Return a guess: of the library if the network is its own, else by channels and classes.

    Args:
        match: The network, if it is known.
        channels: Channels of the images.
        classes: Number of classes.
        file: Path or URL of the weights. torchvision's own files are known by their names.
    """
    kind, name = kind_and_name(match.architecture) if match else ("factory", "")
    if match and kind == "timm":
        return _fitted(_timm_input(match.settings), channels)
    if kind == "torchvision":
        return _fitted(_torchvision_input(name, classes, file), channels)
    if channels == 1:
        return MNIST
    if kind == "registry":
        return _fitted(CIFAR100 if classes == 100 else CIFAR10, channels)
    return _fitted(IMAGENET, channels)


def _torchvision_input(name: str, classes: int, file: str) -> InputGuess:
    """Return the images for the weights of a file, or else for torchvision's newest weights."""
    every: Any = import_torchvision().models.get_model_weights(name)
    file_name = PurePosixPath(file).name
    weights = next((w for w in every if PurePosixPath(w.url).name == file_name), every.DEFAULT)
    transform = weights.transforms()
    (resize,), (crop,) = transform.resize_size, transform.crop_size
    pictures = {"resize": resize, "crop": crop, "interpolation": transform.interpolation.value}
    return InputGuess(
        (crop, crop),
        tuple(transform.mean),
        tuple(transform.std),
        "torchvision's for ImageNet",
        pictures if classes == IMAGENET_CLASSES else {},
    )


def _timm_input(settings: Mapping[str, object]) -> InputGuess:
    """Return the images that timm's `pretrained_cfg` describes."""

    def numbers(key: str) -> tuple[float, ...]:
        value = settings[key]
        assert isinstance(value, tuple)
        return value

    _, height, width = map(int, numbers("input_size"))
    return InputGuess((height, width), numbers("mean"), numbers("std"), "timm's for this network")


def _fitted(guess: InputGuess, channels: int) -> InputGuess:
    """Return a guess with as many values as channels."""
    if len(guess.mean) == channels:
        return guess
    mean, std = (sum(v) / len(v) for v in (guess.mean, guess.std))
    return replace(guess, mean=(round(mean, 4),) * channels, std=(round(std, 4),) * channels)
