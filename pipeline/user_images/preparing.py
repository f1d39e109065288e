"""Prepare pictures as inputs of a network, as the section `input` of the run file says.

The pixels equal those of torchvision's Resize and CenterCrop for Pillow images.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.config.input_section import InputSection
from pipeline.user_images.reading import MAX_PIXELS, Picture, UnreadableError

Pixels = NDArray[np.uint8]

FILTERS = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "nearest": Image.Resampling.NEAREST,
}


def prepare(picture: Picture, section: InputSection) -> Pixels:
    """Resize and crop a picture.

    Args:
        picture: An 8-bit picture with the channels of the network.
        section: The section `input` of the run file.

    Returns:
        Pixels (C, H, W), of the shape in `section`.

    Raises:
        UnreadableError: If the picture is so long that it would be too large when resized.
    """
    size = _resized(picture, section)
    if size[0] * size[1] > MAX_PIXELS:
        raise UnreadableError(f"{size[0]} x {size[1]} pixels when resized: it is too long")
    resized = picture.resize(size, FILTERS[section.interpolation])
    cropped = _centre(resized, section.shape[2], section.shape[1])
    pixels = np.asarray(cropped).reshape(*section.shape[1:], section.shape[0])
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))


def normalize(pixels: Pixels, section: InputSection) -> NDArray[np.float32]:
    """Return pixels (N, C, H, W) as the float32 images that the graphs take."""
    low, high = map(np.float32, section.value_range)
    mean, std = (
        np.array(values, np.float32).reshape(1, -1, 1, 1) for values in (section.mean, section.std)
    )
    raw = low + (high - low) * pixels.astype(np.float32) / 255
    return ((raw - mean) / std).astype(np.float32)


def _resized(picture: Picture, section: InputSection) -> tuple[int, int]:
    """Return width and height of the picture after resizing."""
    width, height = picture.size
    if isinstance(section.resize, int):
        shorter, longer = min(picture.size), max(picture.size)
        other = section.resize * longer // shorter
        return (section.resize, other) if width <= height else (other, section.resize)
    if section.resize is not None:
        return section.resize[1], section.resize[0]
    return (width, height) if section.crop else (section.shape[2], section.shape[1])


def _centre(picture: Picture, width: int, height: int) -> Picture:
    """Return the centre of a picture. Pixels outside the picture are black."""
    left, top = _start(picture.width, width), _start(picture.height, height)
    return picture.crop((left, top, left + width, top + height))


def _start(size: int, wanted: int) -> int:
    """Return where the centre starts; negative if it is larger than the picture."""
    return round((size - wanted) / 2) if wanted <= size else -((wanted - size) // 2)
