"""A file that holds a network, and how it is made."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from dfkd.images import ImageSpec

CLASSES = 10

Network = Callable[[], nn.Module]
"""Makes a network."""

Content = Callable[[nn.Module, Tensor], bytes]
"""Makes a file's bytes from a network and example images. It may change the network's weights."""


@dataclass(frozen=True)
class File:
    """One file.

    Attributes:
        kind: What wrote it.
        name: The network.
        shape: Shape of an image.
        network: Makes the network.
        content: Makes the file's bytes.
        suffix: The file's suffix.
        teacher: More keys of the run file's `teacher`.
        largest: Largest value of an image: 1 or 255.
        needs: Modules of libraries that this project does not need.
        refused: Whether it should be refused.
    """

    kind: str
    name: str
    shape: tuple[int, int, int]
    network: Network
    content: Content
    suffix: str = ".onnx"
    teacher: dict[str, Any] = field(default_factory=dict)
    largest: int = 1
    needs: tuple[str, ...] = ()
    refused: bool = False

    @property
    def spec(self) -> ImageSpec:
        """Its images, without normalization."""
        channels = self.shape[0]
        return ImageSpec(self.shape, (0.0,) * channels, (1.0,) * channels, (0.0, self.largest))

    def images(self, count: int) -> Tensor:
        """Return random images; whole numbers if the largest value is 255."""
        images = torch.rand(count, *self.shape) * self.largest
        return images.round() if self.largest > 1 else images

    def make(self) -> tuple[nn.Module, bytes]:
        """Return its network, in eval mode, and its bytes."""
        torch.manual_seed(0)
        network = self.network()
        with torch.no_grad():
            network.train()(self.images(4))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            content = self.content(network.eval(), self.images(2))
        return network.eval(), content
