"""Sample pictures of the probes for the report, by class."""

import base64
import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from targets.bundle.golden import Golden

MAX_CLASSES = 20
"""Most classes that are shown: those with the most probes."""

PICTURES = 3
"""Pictures of each class."""

SIDE = 128
"""Longest side of a picture in pixels. Small images are enlarged by a whole factor."""

MAX_BYTES = 3_000_000
"""Size of all pictures as text; with charts and tables the page stays below 5 MB."""


@dataclass(frozen=True)
class ClassPictures:
    """Pictures of one class.

    Attributes:
        label: The class.
        count: Number of probes to which the teacher assigns the class.
        uris: The pictures as data URIs.
        width: Width of each picture in pixels.
        height: Height of each picture in pixels.
    """

    label: int
    count: int
    uris: list[str]
    width: int
    height: int


def class_pictures(golden: Golden) -> list[ClassPictures]:
    """Return pictures of the classes with the most probes, in the order of the classes.

    The pictures of a class are taken at even spacing, so every generator has a share of them.
    """
    classes = golden.teacher_logits.argmax(1)
    counts = np.bincount(classes, minlength=golden.teacher_logits.shape[1])
    found: list[ClassPictures] = []
    size = 0
    for label in sorted(np.argsort(-counts, kind="stable")[:MAX_CLASSES]):
        members = np.flatnonzero(classes == label)
        if not len(members):
            continue
        chosen = members[np.linspace(0, len(members) - 1, min(PICTURES, len(members))).astype(int)]
        pictures = [_picture(golden.pixels[index]) for index in chosen]
        lossless = max(golden.pixels.shape[2:]) < SIDE // 2
        uris = [_data_uri(picture, lossless=lossless) for picture in pictures]
        size += sum(map(len, uris))
        if size > MAX_BYTES:
            break
        found.append(ClassPictures(int(label), len(members), uris, *pictures[0].size))
    return found


def _picture(pixels: NDArray[np.uint8]) -> Image.Image:
    """Return pixels (C, H, W) as a picture whose longest side is about `SIDE` pixels."""
    rgb = len(pixels) == 3
    picture = Image.fromarray(pixels.transpose(1, 2, 0) if rgb else pixels[0])
    longest = max(picture.size)
    if longest <= SIDE:
        factor = SIDE // longest
        size = (factor * picture.width, factor * picture.height)
        return picture.resize(size, Image.Resampling.NEAREST)
    picture.thumbnail((SIDE, SIDE))
    return picture


def _data_uri(picture: Image.Image, *, lossless: bool) -> str:
    file = io.BytesIO()
    if lossless:
        picture.save(file, "PNG", optimize=True)
    else:
        picture.save(file, "JPEG", quality=88)
    kind = "png" if lossless else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode()}"
