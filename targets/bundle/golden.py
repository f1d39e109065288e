"""golden.npz: probe images with the teacher's logits, to check an artifact on any machine."""

import dataclasses
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from base.one_line import one_line
from base.untrusted_files import MAX_FILE_BYTES
from targets.bundle.bundle_files import BundleError

Pixel = TypeVar("Pixel", bound=np.generic)

GOLDEN = "golden.npz"

MAX_CHUNK_VALUES = 2_000_000
"""Largest number of pixel values in one chunk. The activations then fit into the memory of a small
Jetson."""


MAX_BUNDLE_BYTES = 50_000_000
"""Largest uncompressed size of the probes in a bundle."""


@dataclass(frozen=True)
class Golden:
    """Probe images as raw pixels, with the teacher's logits for them.

    Attributes:
        pixels: (N, C, H, W) uint8; 0 and 255 are the ends of `value_range`.
        mean: (C,) mean of the normalization, in raw units.
        std: (C,) standard deviation of the normalization, in raw units.
        value_range: (2,) raw values of pixel 0 and pixel 255.
        teacher_logits: (N, K) float32, for the normalized images.
        generator: (N,) index of the held-out generator that drew each image.
        asked: (N,) the class that the generator was conditioned on.
    """

    pixels: NDArray[np.uint8]
    mean: NDArray[np.float32]
    std: NDArray[np.float32]
    value_range: NDArray[np.float32]
    teacher_logits: NDArray[np.float32]
    generator: NDArray[np.int64]
    asked: NDArray[np.int64]

    @property
    def images(self) -> NDArray[np.float32]:
        """(N, C, H, W) float32 normalized images, as the teacher and exported graphs take them."""
        return self.normalise(self.pixels)

    def normalise(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return pixels (N, C, H, W) as normalized images."""
        low, high = self.value_range
        raw = low + (high - low) * pixels.astype(np.float32) / 255
        column = (1, -1, 1, 1)
        normalized = (raw - self.mean.reshape(column)) / self.std.reshape(column)
        images: NDArray[np.float32] = normalized.astype(np.float32)
        return images

    @property
    def chunk_size(self) -> int:
        """Number of images that a small Jetson can process in one batch."""
        return max(1, min(500, MAX_CHUNK_VALUES // int(self.pixels[0].size)))

    def subset(self, count: int) -> "Golden":
        """Return `count` probes at even spacing, or all of them if there are no more."""
        if count >= len(self.pixels):
            return self
        chosen = np.linspace(0, len(self.pixels) - 1, count).astype(np.int64)
        per_image = ("pixels", "teacher_logits", "generator", "asked")
        return dataclasses.replace(self, **{name: vars(self)[name][chosen] for name in per_image})

    def for_bundle(self) -> "Golden":
        """Return as many probes as a bundle may contain; all of them if the images are small."""
        image_bytes = self.pixels[0].size + 4 * self.teacher_logits.shape[1] + 16
        return self.subset(max(1, MAX_BUNDLE_BYTES // image_bytes))

    def save(self, path: Path) -> None:
        """Write an .npz file; equal content gives equal bytes."""
        np.savez_compressed(path, **vars(self))


def full_batches(images: NDArray[Pixel], size: int) -> Iterator[NDArray[Pixel]]:
    """Yield images (N, ...) in batches of one size; the first image pads the last batch."""
    for start in range(0, len(images), size):
        part = images[start : start + size]
        yield np.concatenate([part, np.repeat(images[:1], size - len(part), 0)])


def load_bundle_golden(bundle: Path) -> Golden:
    """Read a bundle's probes.

    Raises:
        BundleError: If the bundle has none because its run file says `private: true`, or if the
            file is damaged.
        OSError: If the file cannot be read.
    """
    if not (bundle / GOLDEN).exists():
        raise BundleError(f"{bundle}: contains no probes, because its run file says private: true")
    return load_golden(bundle / GOLDEN)


def load_golden(path: Path) -> Golden:
    """Read a file that `Golden.save` wrote, without unpickling anything.

    Raises:
        BundleError: If it is not such a file, or larger than MAX_FILE_BYTES uncompressed.
        OSError: If it cannot be opened.
    """
    with path.open("rb") as file:
        try:
            size = sum(member.file_size for member in zipfile.ZipFile(file).infolist())
            if size > MAX_FILE_BYTES:
                raise ValueError(f"{size:,} bytes uncompressed, more than {MAX_FILE_BYTES:,}")
            file.seek(0)
            with np.load(file, allow_pickle=False) as arrays:
                golden = Golden(**{name: arrays[name] for name in Golden.__dataclass_fields__})
            _check_layout(golden)
        except Exception as error:  # From zipfile, zlib and NumPy; MemoryError for a false size.
            why = one_line(str(error) or type(error).__name__)
            raise BundleError(f"{path}: not a golden.npz ({why})") from None
    return golden


def _check_layout(golden: Golden) -> None:
    """Check the types and shapes of all arrays.

    Raises:
        ValueError: If an array is wrong; the message names it.
    """
    count, channels = (*golden.pixels.shape, 0, 0)[:2]
    classes = (*golden.teacher_logits.shape, 0, 0)[1]
    layout = {
        "pixels": (np.uint8, (*golden.pixels.shape, 0, 0, 0, 0)[:4]),
        "mean": (np.float32, (channels,)),
        "std": (np.float32, (channels,)),
        "value_range": (np.float32, (2,)),
        "teacher_logits": (np.float32, (count, classes)),
        "generator": (np.int64, (count,)),
        "asked": (np.int64, (count,)),
    }
    for name, (dtype, shape) in layout.items():
        array = vars(golden)[name]
        if array.dtype != dtype or array.shape != shape or not array.size:
            raise ValueError(f"{name} is {array.dtype} of shape {list(array.shape)}")
