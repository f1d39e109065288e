"""Real test and training sets, for benchmarks only. The pipeline never imports this."""

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from dfkd.images import ImageSpec
from pipeline.teachers.torchvision_on_cpu import import_torchvision

Pixels = NDArray[np.uint8]
Labels = NDArray[np.uint8]

MNIST_INPUT = ImageSpec(shape=(1, 32, 32), mean=(0.1307,), std=(0.3081,))
"""MNIST resized to 32x32, as LeNet-5 takes it."""


def load(
    name: str, folder: Path, train: bool, spec: ImageSpec, last: int | None = None
) -> tuple[Tensor, Tensor]:
    """A labelled set as a teacher with this input would see it.

    Args:
        name: "mnist", "fashion-mnist" or "cifar10".
        folder: Holds MNIST/raw, FashionMNIST/raw (idx files, gzipped; fetched when missing) and
            cifar10 (PNG strips).
        train: The training part instead of the test part.
        spec: Target shape (other sizes are resized bilinearly) and normalisation.
        last: Only so many images, from the end.

    Returns:
        Normalised float32 images (N, C, H, W) and int64 labels (N,).

    Raises:
        FileNotFoundError: When the files are not there.
        KeyError: For an unknown name.
    """
    pixels, labels = READERS[name](folder, train)
    if last is not None:
        pixels, labels = pixels[-last:], labels[-last:]
    low, high = spec.value_range
    images = low + (high - low) * torch.from_numpy(pixels).float() / 255
    if images.shape[2:] != spec.shape[1:]:
        images = F.interpolate(images, size=spec.shape[1:], mode="bilinear", align_corners=False)
    return spec.normalise(images), torch.from_numpy(labels.astype(np.int64))


def _idx(set_folder: str) -> Callable[[Path, bool], tuple[Pixels, Labels]]:
    def read(folder: Path, train: bool) -> tuple[Pixels, Labels]:
        raw = folder / set_folder / "raw"
        if not raw.exists():
            # torchvision fetches the same files into the same places.
            datasets = import_torchvision().datasets
            getattr(datasets, set_folder)(str(folder), train=train, download=True)
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


def _cifar10(folder: Path, train: bool) -> tuple[Pixels, Labels]:
    part = "train" if train else "test"
    strips = sorted((folder / "cifar10").glob(f"{part}_*.png"))
    if not strips:
        raise FileNotFoundError(folder / "cifar10" / f"{part}_00.png")
    pixels = np.concatenate([np.asarray(Image.open(s)).reshape(-1, 32, 32, 3) for s in strips])
    labels = np.load(folder / "cifar10" / f"{part}_labels.npy", allow_pickle=False)
    return pixels.transpose(0, 3, 1, 2).copy(), labels


READERS = {"mnist": _idx("MNIST"), "fashion-mnist": _idx("FashionMNIST"), "cifar10": _cifar10}


@torch.no_grad()
def accuracy(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Top-1 accuracy in percent, in batches of 500, in the mode the model is in."""
    right = sum(
        (model(part).argmax(1) == answer).sum().item()
        for part, answer in zip(images.split(500), labels.split(500), strict=True)
    )
    return 100.0 * right / len(images)
