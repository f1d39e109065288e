"""Reading a teacher's weights file, as bytes. Imports no torch."""

import hashlib
import io
from pathlib import Path

import fsspec

from base.errors import InputError
from base.untrusted_files import MAX_FILE_BYTES
from base.urls import check_url

HOW_TO_SAVE = "save one with safetensors.torch.save_file(model.state_dict(), 'teacher.safetensors')"

PART = 1 << 24
"""Bytes that are read at a time, as a file may be endless."""

TO_MEND = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError)
"""What stays as it is until someone mends it; any other OSError may be gone the next time."""


def read_weights(url: str) -> bytes:
    """The bytes of a weights file.

    Raises:
        InputError: As `check_weights`, or when it may not be read or is larger than MAX_FILE_BYTES.
        OSError: When it cannot be reached.
    """
    check_weights(url)
    try:
        with fsspec.open(url, "rb") as file:
            content = io.BytesIO()
            while content.tell() <= MAX_FILE_BYTES and (part := file.read(PART)):
                content.write(part)
    except TO_MEND as error:
        raise InputError(f"teacher {url}: cannot be read ({error.strerror or error})") from None
    if content.tell() > MAX_FILE_BYTES:
        raise InputError(f"teacher {url}: larger than {MAX_FILE_BYTES:,} bytes")
    return content.getvalue()


def check_weights(url: str) -> None:
    """Refuse what is not there or has a password in its URL, or holds no usable state dict.

    Raises:
        InputError: With the reason, and how to save a state dict.
        OSError: When it cannot be reached.
    """
    check_url(url, "teacher")
    suffix = Path(url).suffix.lower()
    if suffix == ".onnx":
        raise InputError(
            f"teacher {url}: an ONNX graph has its batch norms folded away, and their statistics "
            f"are what data-free methods match; give a state dict: {HOW_TO_SAVE}"
        )
    if suffix == ".pt2":
        raise InputError(
            f"teacher {url}: a .pt2 program has its batch norms frozen into operators, where their "
            f"statistics cannot be matched; give a state dict: {HOW_TO_SAVE}"
        )
    if suffix not in (".safetensors", ".pt", ".pth", ".th"):
        raise InputError(f"teacher {url}: not a .safetensors, .pt, .pth or .th file; {HOW_TO_SAVE}")
    try:
        fs, path = fsspec.core.url_to_fs(url)
        found = fs.info(path)["type"] == "file"
    except FileNotFoundError:
        found = False
    except (*TO_MEND, ImportError, ValueError) as error:
        raise InputError(f"teacher {url}: cannot be read ({error})") from None
    except OSError:
        raise
    except Exception as error:  # A bucket's library has types of its own, for credentials say.
        raise InputError(f"teacher {url}: cannot be reached ({error})") from None
    if not found:
        raise InputError(f"teacher {url}: no such file")


def digest_of_weights(content: bytes) -> str:
    """The sha256 of a weights file's content, as a step's key has it."""
    return hashlib.sha256(content).hexdigest()
