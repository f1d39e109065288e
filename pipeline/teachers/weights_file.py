"""Read the bytes of a teacher's weights file. Imports no torch."""

import hashlib
import io

import fsspec

from base.errors import InputError
from base.untrusted_files import MAX_FILE_BYTES
from base.urls import check_url

HOW_TO_SAVE = "save one with safetensors.torch.save_file(model.state_dict(), 'teacher.safetensors')"

CHUNK_BYTES = 1 << 24
"""Size of one read. A stream may be endless, so it is not read at once."""

PERMANENT_ERRORS = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError)
"""Errors that stay until the user fixes the cause; any other OSError may be a transient failure."""


class MissingFileError(InputError):
    """The weights file does not exist."""


def read_weights(url: str) -> bytes:
    """Return the bytes of a weights file.

    Args:
        url: A path, or a URL that fsspec can open.

    Raises:
        InputError: As for `check_weights`; also if the file cannot be read, or is larger than
            MAX_FILE_BYTES.
        OSError: If the file's server does not respond.
    """
    check_weights(url)
    try:
        with fsspec.open(url, "rb") as file:
            content = io.BytesIO()
            while content.tell() <= MAX_FILE_BYTES and (chunk := file.read(CHUNK_BYTES)):
                content.write(chunk)
    except PERMANENT_ERRORS as error:
        raise InputError(f"teacher {url}: cannot be read ({error.strerror or error})") from None
    if content.tell() > MAX_FILE_BYTES:
        raise InputError(
            f"teacher {url}: larger than {MAX_FILE_BYTES:,} bytes, the largest allowed size"
        )
    return content.getvalue()


def check_weights(url: str) -> None:
    """Check that a weights file exists. Its content is not read.

    Raises:
        MissingFileError: If the file is missing.
        InputError: If the file cannot be read, or its URL contains a password.
        OSError: If the file's server does not respond.
    """
    check_url(url, "teacher")
    try:
        fs, path = fsspec.core.url_to_fs(url)
        found = fs.info(path)["type"] == "file"
    except FileNotFoundError:
        found = False
    except (*PERMANENT_ERRORS, ImportError, ValueError) as error:
        raise InputError(f"teacher {url}: cannot be read ({error})") from None
    except OSError:
        raise
    except Exception as error:  # Cloud libraries raise types of their own, e.g. for credentials.
        raise InputError(f"teacher {url}: cannot be reached ({error})") from None
    if not found:
        raise MissingFileError(f"teacher {url}: no such file; correct teacher.weights")


def weights_digest(content: bytes) -> str:
    """Return the sha256 of a weights file's content, in hex."""
    return hashlib.sha256(content).hexdigest()
