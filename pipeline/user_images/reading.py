"""Find picture files, and read them as upright 8-bit images."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from base.errors import InputError, first_line

FORMATS = {
    "PNG": (".png",),
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "WEBP": (".webp",),
    "BMP": (".bmp",),
    "GIF": (".gif",),
    "TIFF": (".tif", ".tiff"),
    "PPM": (".ppm", ".pgm", ".pbm"),
}
"""File suffixes of the formats that are read, by Pillow's name. Others can start programs (EPS)."""

SUFFIXES = tuple(suffix for suffixes in FORMATS.values() for suffix in suffixes)

MAX_PIXELS = 89_478_485
"""Largest number of pixels of a picture: Pillow's limit, from which it warns of a bomb."""

MODES = {1: "L", 3: "RGB"}
"""Pillow's mode of a picture for a network, by the network's channels."""

ORIENTATIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""The transposition that makes a picture upright, by its EXIF orientation (EXIF 2.3, tag 274)."""

Picture = Image.Image


class UnreadableError(Exception):
    """A file is not a picture that can be read; the message says why."""


def picture_files(folder: Path) -> list[Path]:
    """Return the picture files in a folder and its subfolders, sorted; hidden ones are left out.

    Raises:
        InputError: If the folder does not exist or holds none.
    """
    if not folder.is_dir():
        raise InputError(f"--images {folder}: no such folder; give the folder of your pictures")
    others: set[str] = set()
    found = []
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if hidden or not path.is_file():
            continue
        if path.suffix.lower() in SUFFIXES:
            found.append(path)
        else:
            others.add(path.suffix.lower() or "no suffix")
    if not found:
        there = f"only files with {', '.join(sorted(others)[:5])}" if others else "no files"
        raise InputError(
            f"--images {folder}: no pictures in it ({there}); "
            f"it must hold files such as {', '.join(SUFFIXES)}"
        )
    return found


@contextmanager
def without_warnings() -> Iterator[None]:
    """Hide Pillow's warnings, also those of threads that are started inside."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="PIL")
        yield


def read_picture(path: Path, channels: int) -> Picture:
    """Return a picture upright, with 8 bits a value, in grey ("L") or colour ("RGB").

    The first frame of an animation is read. What is transparent becomes white. 16-bit grey is
    scaled to 8 bits. Colour profiles are ignored.

    Args:
        path: The file.
        channels: 1 for grey, 3 for colour.

    Raises:
        UnreadableError: If it is no picture, truncated, too large, or of 32 bits a value.
    """
    try:
        with Image.open(path, formats=tuple(FORMATS)) as file:
            if file.width * file.height > MAX_PIXELS:
                raise UnreadableError(
                    f"{file.width} x {file.height} pixels, more than {MAX_PIXELS:,}"
                )
            file.load()
            return _upright(_in_8_bits(file), file).convert(MODES[channels])
    except Image.DecompressionBombError:
        raise UnreadableError(f"more than {2 * MAX_PIXELS:,} pixels") from None
    except UnidentifiedImageError:
        raise UnreadableError("not a picture that Pillow can read") from None
    # Pillow's decoders raise half a dozen types, from OSError to SyntaxError.
    except Exception as error:
        raise UnreadableError(first_line(error)) from None


def _in_8_bits(file: Picture) -> Picture:
    """Return a picture as "L", "RGB" or a mode that converts to them exactly."""
    if file.mode.startswith("I") or file.mode == "F":
        values = np.asarray(file)
        is_16_bits = file.mode.startswith("I;16") or file.format in ("PNG", "PPM")
        if not is_16_bits:
            raise UnreadableError(f"32 bits a value (mode {file.mode}); save it with 8 or 16 bits")
        return Image.fromarray(np.rint(values.clip(0, 65_535) / 257).astype(np.uint8))
    if file.has_transparency_data:
        colours = file.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", colours.size, "white"), colours)
    return file


def _upright(picture: Picture, file: Picture) -> Picture:
    """Return a picture rotated and mirrored as the file's EXIF orientation says."""
    # ImageOps.exif_transpose also writes the EXIF data again, which fails for some cameras' files.
    orientation = file.getexif().get(0x0112, 1)
    method = ORIENTATIONS.get(orientation)
    return picture if method is None else picture.transpose(method)
