"""Reading files of torch's that anyone may have written: no code is run, and memory is bounded."""

import io
import zipfile
from typing import Any, BinaryIO

import torch


class TooLargeError(ValueError):
    """A file that takes more memory than there are bytes in it."""


def load_torch(file: BinaryIO) -> Any:
    """What `torch.save` wrote, on the CPU; it takes about as much memory as the file has bytes.

    Args:
        file: Open for reading, at any place.

    Raises:
        TooLargeError: When it would take more: `torch.save` compresses nothing.
        Exception: One of half a dozen of torch's, RuntimeError to EOFError, when it is no such file
            or wants to run code.
    """
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    if file.read(4) == b"PK\x03\x04":  # By which torch knows an archive.
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            unpacked = sum(member.file_size for member in members)
            if unpacked > size:
                raise TooLargeError(f"takes {unpacked:,} bytes unpacked, of {size:,} in the file")
            pickles = [archive.read(m) for m in members if m.filename.endswith(".pkl")]
    else:
        file.seek(0)
        pickles = [file.read()]
    if any(b"bytearray" in each for each in pickles):
        raise TooLargeError("asks for a bytearray, which a few bytes can make of any size")
    file.seek(0)
    return torch.load(file, map_location="cpu", weights_only=True)
