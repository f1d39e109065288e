"""Procedural images of any shape."""

import torch
import torch.nn.functional as F
from torch import Tensor

from dfkd.procedural.canvas import Canvas, texture_fields
from dfkd.procedural.drawings import leaves, strokes

DRAWN_SIDE = 64
"""Largest height and width at which images are drawn; larger ones are interpolated from these."""

STROKES_SHARE = 0.4
"""Share of the images that are strokes; the others are leaves."""


class ProceduralImages:
    """Draws images that look a little like photographs and handwriting, without any data.

    Args:
        shape: (channels, height, width) of the images.

    Examples:
        >>> source = ProceduralImages((3, 32, 32))
        >>> source.draw(8, torch.Generator().manual_seed(0)).shape
        torch.Size([8, 3, 32, 32])
    """

    def __init__(self, shape: tuple[int, int, int]) -> None:
        self.channels, self.height, self.width = shape
        self.side = min(DRAWN_SIDE, max(self.height, self.width))
        self._fields = texture_fields(self.channels, self.side)

    def draw(self, count: int, rng: torch.Generator) -> Tensor:
        """Return images (count, C, H, W) with values from 0 to 1, in random order.

        Args:
            count: Number of images.
            rng: Random number generator on the CPU, for all draws.
        """
        canvas = Canvas(self.channels, self.side, rng, self._fields)
        of_strokes = round(STROKES_SHARE * count)
        images = torch.cat([strokes(canvas, of_strokes), leaves(canvas, count - of_strokes)])
        images = images[torch.randperm(count, generator=rng)]
        if images.shape[2:] != (self.height, self.width):
            size = (self.height, self.width)
            images = F.interpolate(images, size=size, mode="bilinear", align_corners=False)
        return images
