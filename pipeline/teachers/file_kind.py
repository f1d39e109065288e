"""Recognise the kind of a teacher's file by its content. Imports no torch."""

import io
import zipfile
from typing import Literal

FileKind = Literal[
    "safetensors",
    "torch",
    "torchscript",
    "exported-program",
    "onnx",
    "damaged archive",
    "unknown",
]

ZIP_START = b"PK\x03\x04"

PICKLE_START = b"\x80"
"""First byte of a pickle since protocol 2, as `torch.save` writes it without an archive."""

ONNX_WIRE_TYPES = {1: 0, 2: 2, 3: 2, 4: 2, 5: 0, 6: 2, 7: 2, 8: 2, 14: 2, 20: 2, 25: 2, 26: 2}
"""Protobuf wire type (0 integer, 2 length and bytes) of each field of ONNX's ModelProto, by number.

Source: onnx/onnx.proto.
"""

ONNX_GRAPH = 7
"""Number of the field of ModelProto that holds the graph."""


def file_kind(content: bytes) -> FileKind:
    """Return the kind of a file, without loading it.

    A file of a recognised kind may still be damaged: only its structure is read.

    Args:
        content: All bytes of the file.

    Returns:
        "safetensors"; "torch" for what `torch.save` wrote; "torchscript" for what `torch.jit.save`
        wrote; "exported-program" for what `torch.export.save` wrote (.pt2); "onnx"; "damaged
        archive" for a truncated file of one of the last three that torch writes; or "unknown".
    """
    if content[8:9] == b"{":  # The JSON header follows its length, which has 8 bytes.
        return "safetensors"
    if content.startswith(ZIP_START):
        return _archive_kind(content)
    if content.startswith(PICKLE_START):
        return "torch"
    return "onnx" if _is_onnx(content) else "unknown"


def _archive_kind(content: bytes) -> FileKind:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = archive.namelist()
    except Exception:  # zipfile raises several types, from BadZipFile to NotImplementedError.
        return "damaged archive"
    # All members are in one folder, whose name is that of the file when it was saved.
    members = {name.partition("/")[2] for name in names} | set(names)
    if "constants.pkl" in members and any(name.startswith("code/") for name in members):
        return "torchscript"
    # torch before 2.8 wrote .pt2 without `archive_format`.
    if "archive_format" in members or "serialized_exported_program.json" in members:
        return "exported-program"
    return "torch" if "data.pkl" in members else "unknown"


def _is_onnx(content: bytes) -> bool:
    """Return whether the fields up to the graph are those of a ModelProto."""
    position = 0
    while position < len(content):
        tag, position = _varint(content, position)
        number, wire_type = tag >> 3, tag & 7
        if ONNX_WIRE_TYPES.get(number) != wire_type:
            return False
        if number == ONNX_GRAPH:
            return True
        value, position = _varint(content, position)
        if wire_type == 2:
            position += value
    return False


def _varint(content: bytes, position: int) -> tuple[int, int]:
    """Return a protobuf integer and the position after it."""
    value = 0
    for index, byte in enumerate(content[position : position + 10]):
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value, position + index + 1
    return 0, len(content)
