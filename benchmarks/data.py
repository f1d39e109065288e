"""Labelled MNIST, Fashion-MNIST and CIFAR-10 images, as a network takes them."""

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from base.suggest import did_you_mean
from dfkd.images import ImageSpec
from pipeline.teachers.torchvision_on_cpu import import_torchvision

Pixels = NDArray[np.uint8]
"""(N, C, H, W)."""

Labels = NDArray[np.uint8]
"""(N,)."""

MNIST_INPUT = ImageSpec(shape=(1, 32, 32), mean=(0.1307,), std=(0.3081,))
"""MNIST resized to 32x32, the input of LeNet-5."""

HELD_OUT_IMAGES = 5_000
"""The last training images of MNIST: no teacher is trained on them, settings are chosen on them."""


def load_data_set(
    name: str, folder: Path, train: bool, spec: ImageSpec, last: int | None = None
) -> tuple[Tensor, Tensor]:
    """Return a labelled data set with the shape and the normalisation of a network's input.

    Args:
        name: "mnist", "fashion-mnist" or "cifar10".
        folder: Contains MNIST/raw and FashionMNIST/raw (gzipped idx files, downloaded if missing)
            and cifar10 (images stacked in PNG files, and their labels).
        train: Load the training set instead of the test set.
        spec: Shape (images of another size are resized bilinearly) and normalisation.
        last: Load only this many images, from the end.

    Returns:
        Normalised float32 images (N, C, H, W) and int64 labels (N,).

    Raises:
        FileNotFoundError: If the files of CIFAR-10 are missing.
        ValueError: If the name is unknown.
    """
    if name not in READERS:
        raise ValueError(f"unknown data set {name!r}{did_you_mean(name, READERS)}")
    pixels, labels = READERS[name](folder, train)
    if last is not None:
        pixels, labels = pixels[-last:], labels[-last:]
    low, high = spec.value_range
    images = low + (high - low) * torch.from_numpy(pixels).float() / 255
    if images.shape[2:] != spec.shape[1:]:
        images = F.interpolate(images, size=spec.shape[1:], mode="bilinear", align_corners=False)
    return spec.normalise(images), torch.from_numpy(labels.astype(np.int64))


def _idx_reader(torchvision_name: str) -> Callable[[Path, bool], tuple[Pixels, Labels]]:
    def read(folder: Path, train: bool) -> tuple[Pixels, Labels]:
        raw = folder / torchvision_name / "raw"
        if not raw.exists():
            # torchvision stores the same files in the same places.
            datasets = import_torchvision().datasets
            getattr(datasets, torchvision_name)(str(folder), train=train, download=True)
        prefix = "train" if train else "t10k"
        pixels = np.frombuffer(
            gzip.decompress((raw / f"{prefix}-images-idx3-ubyte.gz").read_bytes()),
            np.uint8,
            offset=16,
        )
        labels = np.frombuffer(
            gzip.decompress((raw / f"{prefix}-labels-idx1-ubyte.gz").read_bytes()),
            np.uint8,
            offset=8,
        )
        return pixels.reshape(-1, 1, 28, 28).copy(), labels

    return read


def _read_cifar10(folder: Path, train: bool) -> tuple[Pixels, Labels]:
    part = "train" if train else "test"
    strips = sorted((folder / "cifar10").glob(f"{part}_*.png"))
    if not strips:
        raise FileNotFoundError(folder / "cifar10" / f"{part}_00.png")
    pixels = np.concatenate([np.asarray(Image.open(s)).reshape(-1, 32, 32, 3) for s in strips])
    labels = np.load(folder / "cifar10" / f"{part}_labels.npy", allow_pickle=False)
    return pixels.transpose(0, 3, 1, 2).copy(), labels


READERS = {
    "mnist": _idx_reader("MNIST"),
    "fashion-mnist": _idx_reader("FashionMNIST"),
    "cifar10": _read_cifar10,
}
"""Functions (folder, train) -> (pixels, labels), by the name of the data set."""


@torch.no_grad()
def accuracy_percent(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Return the top-1 accuracy in percent; the model stays in the mode it is in.

    Args:
        model: Takes images, returns logits (N, K).
        images: Normalised, (N, C, H, W); evaluated in batches of 500.
        labels: (N,).
    """
    correct = sum(
        (model(part).argmax(1) == expected).sum().item()
        for part, expected in zip(images.split(500), labels.split(500), strict=True)
    )
    return 100.0 * correct / len(images)
