"""CIFAR-10 as tensors on the device, with functions for augmentation and accuracy."""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from dfkd.images import ImageSpec

SPEC = ImageSpec((3, 32, 32), (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010))

CLASSES = 10

PADDING = 4
"""Pixels added on each side before a crop."""

LabelledPixels = tuple[Tensor, Tensor]
"""uint8 images (N, 3, 32, 32) and int64 labels (N,)."""


def read_part(folder: Path, part: str, device: torch.device) -> LabelledPixels:
    """Return the training or the test set.

    Args:
        folder: Contains cifar10/{part}_00.png, ... (images stacked vertically, any number in each
            file) and cifar10/{part}_labels.npy.
        part: "train" or "test".
        device: The device of the tensors.

    Raises:
        FileNotFoundError: If there are no images.
        ValueError: If the numbers of images and labels differ.
    """
    strips = sorted((folder / "cifar10").glob(f"{part}_*.png"))
    if not strips:
        raise FileNotFoundError(folder / "cifar10" / f"{part}_00.png")
    pixels = torch.from_numpy(np.concatenate([read_strip(strip) for strip in strips]))
    stored = np.load(folder / "cifar10" / f"{part}_labels.npy", allow_pickle=False)
    if len(stored) != len(pixels):
        raise ValueError(f"{folder / 'cifar10'}: {len(pixels)} {part} images, {len(stored)} labels")
    labels = torch.from_numpy(stored.astype(np.int64))
    return pixels.permute(0, 3, 1, 2).contiguous().to(device), labels.to(device)


def read_strip(path: Path) -> NDArray[np.uint8]:
    """Return the images of one PNG file, (N, 32, 32, 3)."""
    with Image.open(path) as strip:
        return np.asarray(strip.convert("RGB")).reshape(-1, 32, 32, 3)


def normalise(pixels: Tensor) -> Tensor:
    """Return uint8 images as the input of a network."""
    return SPEC.normalise(pixels.float() / 255)


def crop_and_flip(pixels: Tensor, corners: Tensor, flips: Tensor) -> Tensor:
    """Return images that are padded by 4, cropped, and mirrored where `flips` is true.

    Args:
        pixels: (N, C, H, W).
        corners: (N, 2), row and column of each crop, from 0 to 8.
        flips: (N,), bool.
    """
    padded = F.pad(pixels, (PADDING, PADDING, PADDING, PADDING))
    offsets = torch.arange(pixels.shape[-1], device=pixels.device)
    rows = corners[:, :1] + offsets
    columns = corners[:, 1:] + torch.where(flips[:, None], offsets.flip(0), offsets)
    images = torch.arange(len(pixels), device=pixels.device)[:, None, None]
    return padded[images, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


@torch.no_grad()
def evaluate_accuracy(model: nn.Module, labelled: LabelledPixels) -> float:
    """Return the top-1 accuracy in percent, in eval mode and float32.

    Afterwards the model is in its earlier mode again.
    """
    training = model.training
    model.eval()
    correct = 0
    for pixels, labels in zip(labelled[0].split(1000), labelled[1].split(1000), strict=True):
        correct += int((model(normalise(pixels)).argmax(1) == labels).sum())
    model.train(training)
    return 100.0 * correct / len(labelled[1])
