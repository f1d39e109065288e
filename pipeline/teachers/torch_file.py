"""Load untrusted files written by `torch.save`: no code is run, and memory use is limited."""

import io
import zipfile
from typing import Any, BinaryIO

import torch


class TooLargeError(ValueError):
    """A file that needs more memory than it has bytes."""


def load_torch(file: BinaryIO) -> Any:
    """Load what `torch.save` wrote, on the CPU.

    Args:
        file: Open for reading, at any position.

    Raises:
        TooLargeError: If loading needs more memory than the file has bytes. `torch.save` does not
            compress, so such a file was made by something else.
        Exception: One of several types of torch, from RuntimeError to EOFError, if the file is not
            such a file or needs to run code.
    """
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    if file.read(4) == b"PK\x03\x04":  # torch recognises a zip archive by the same bytes.
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            unpacked = sum(member.file_size for member in members)
            if unpacked > size:
                raise TooLargeError(
                    f"takes {unpacked:,} bytes unpacked, but the file has {size:,} bytes"
                )
            pickles = [archive.read(m) for m in members if m.filename.endswith(".pkl")]
    else:
        file.seek(0)
        pickles = [file.read()]
    if any(b"bytearray" in each for each in pickles):
        raise TooLargeError("its pickle creates a bytearray, which can be of any size")
    file.seek(0)
    return torch.load(file, map_location="cpu", weights_only=True)
