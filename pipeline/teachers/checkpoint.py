"""Open a teacher's file by its content. No code in it is run."""

import io
import re
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import safetensors
import torch
from safetensors.torch import load as load_safetensors

from base.errors import InputError, first_line
from pipeline.teachers.file_kind import FileKind, file_kind
from pipeline.teachers.stand_ins import STAND_INS
from pipeline.teachers.state_dicts import StateDict, find_state_dicts
from pipeline.teachers.torch_file import TooLargeError, load_torch
from pipeline.teachers.weights_file import HOW_TO_SAVE

TRUSTED = "remove teacher.architecture and, if you trust its author, set teacher.trusted: true"

PROGRAMS: dict[FileKind, str] = {
    "torchscript": f"is TorchScript, which holds the network; {TRUSTED}",
    "exported-program": f"is an exported program, which holds the network; {TRUSTED}",
    "onnx": "is an ONNX graph, which holds the network; remove teacher.architecture",
}
"""Kinds of files that hold no state dict, and what to do."""

DAMAGED_ARCHIVE = "damaged or truncated file; copy or save it again"

GIT_LFS_START = b"version https://git-lfs"


def open_checkpoint(content: bytes, url: str) -> dict[str, StateDict]:
    """Return the state dicts in a file by their keys, as `find_state_dicts` does.

    Args:
        content: As for `load_checkpoint`.
        url: As for `load_checkpoint`.

    Raises:
        InputError: As for `load_checkpoint`, or if the file holds no state dict.
    """
    return require_state_dicts(load_checkpoint(content, url), url)


def require_state_dicts(checkpoint: Any, url: str) -> dict[str, StateDict]:
    """Return the state dicts in a checkpoint by their keys, as `find_state_dicts` does.

    Args:
        checkpoint: The result of `load_checkpoint`.
        url: The file's path or URL, for error messages.

    Raises:
        InputError: If it holds none.
    """
    found = find_state_dicts(checkpoint)
    if not found:
        is_dict = isinstance(checkpoint, dict) and bool(checkpoint)
        keys = f" (found the keys {', '.join(map(str, checkpoint))[:200]})" if is_dict else ""
        raise InputError(f"teacher {url}: no state dict in the file{keys}; {HOW_TO_SAVE}")
    return found


def load_checkpoint(content: bytes, url: str) -> Any:
    """Return what a file holds. Values beside tensors may be stand-ins.

    Args:
        content: The bytes of a safetensors file, or of a file written by `torch.save`.
        url: The file's path or URL. Any suffix will do, except that of the other kind of file.

    Raises:
        InputError: If the file is damaged, needs to run code, is of a kind that holds no state
            dict, or if its suffix is wrong.
    """
    kind = file_kind(content)
    _check_suffix(kind, url)
    if kind in PROGRAMS:
        raise InputError(f"teacher {url}: {PROGRAMS[kind]}")
    if content.startswith(GIT_LFS_START):
        raise InputError(f"teacher {url}: is a Git LFS pointer, not the file; run: git lfs pull")
    if kind == "damaged archive":
        raise InputError(f"teacher {url}: {DAMAGED_ARCHIVE}")
    if kind == "unknown":
        raise InputError(
            f"teacher {url}: damaged, or neither a safetensors nor a torch file (begins with "
            f"{content[:12]!r}); copy it again, or {HOW_TO_SAVE}"
        )
    load = _load_safetensors if kind == "safetensors" else _load_weights_only
    return load(content, url)


def _check_suffix(kind: FileKind, url: str) -> None:
    path = urlsplit(url).path if "://" in url else url
    suffix = PurePosixPath(path).suffix.lower()
    if kind == "torch" and suffix == ".safetensors":
        raise InputError(
            f"teacher {url}: is a torch file, but has the suffix .safetensors; "
            "rename it to end in .pt"
        )
    if kind == "safetensors" and suffix in (".pt", ".pth", ".th"):
        raise InputError(
            f"teacher {url}: is a safetensors file, but has the suffix {suffix}; "
            "rename it to end in .safetensors"
        )


def _load_safetensors(content: bytes, url: str) -> Any:
    try:
        return load_safetensors(content)
    except safetensors.SafetensorError as error:
        raise InputError(
            f"teacher {url}: damaged safetensors file ({error}); copy or save it again"
        ) from None


def _load_weights_only(content: bytes, url: str) -> Any:
    try:
        with torch.serialization.safe_globals(STAND_INS):
            return load_torch(io.BytesIO(content))
    except TooLargeError as error:
        raise InputError(f"teacher {url}: {error}; {HOW_TO_SAVE}") from None
    except Exception as error:  # torch raises half a dozen types, from RuntimeError to EOFError
        text = str(error)
        if "Unsupported operand" in text:
            raise InputError(
                f"teacher {url}: its pickle has a protocol that cannot be read without allowing it "
                "to run code; save it with torch.save and its default protocol"
            ) from None
        if "Unsupported" in text or "weights_only" in text:
            name = re.search(r"GLOBAL ([\w.]+)", text)
            needs = f" (it needs {name[1].rstrip('.')})" if name else ""
            raise InputError(
                f"teacher {url}: loading this pickle would run code{needs}, which is not allowed; "
                f"{HOW_TO_SAVE}"
            ) from None
        raise InputError(
            f"teacher {url}: damaged or truncated file ({first_line(error)}); copy or save it again"
        ) from None
