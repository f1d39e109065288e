"""What a teacher's file holds."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import torch
from torch import Tensor

from base.errors import InputError
from pipeline.inspection.architecture_search import Match, Search
from pipeline.inspection.head_and_stem import channels_of, head_of
from pipeline.reporter import Reporter
from pipeline.teachers.checkpoint import PROGRAMS, load_checkpoint, require_state_dicts
from pipeline.teachers.file_kind import FileKind, file_kind
from pipeline.teachers.graphs.description import GraphDescription, describe_graph
from pipeline.teachers.state_dicts import averaged_first
from pipeline.teachers.weights_file import MissingFileError, read_weights


@dataclass(frozen=True)
class StateDictContents:
    """A state dict in a file.

    Attributes:
        key: Its keys in the file, joined by dots; "" if the whole file is one.
        tensors: Number of tensors.
        parameters: Number of values that are trained.
        types: Number of tensors by type.
        batch_norms: Number of batch norms with statistics.
        channels: Channels of the images; None if it cannot be seen.
        classes: Number of classes; None if it cannot be seen.
    """

    key: str
    tensors: int
    parameters: int
    types: Mapping[str, int]
    batch_norms: int
    channels: int | None
    classes: int | None


@dataclass(frozen=True)
class FileContents:
    """A teacher's file.

    Attributes:
        file: Its path or URL.
        kind: Its kind.
        bytes: Its size.
        layout: The program that wrote the checkpoint, if it can be seen.
        state_dicts: What it holds. The first one is the one that the matches are for.
        matches: Networks that have its names and shapes, the likeliest first.
        graph: What an ONNX graph contains; None for other kinds.
    """

    file: str
    kind: FileKind
    bytes: int
    layout: str
    state_dicts: tuple[StateDictContents, ...]
    matches: tuple[Match, ...]
    graph: GraphDescription | None = None


def inspect_file(url: str, reporter: Reporter) -> FileContents:
    """Return what a file holds. No code in it is run.

    Args:
        url: Its path or URL.
        reporter: Receives progress if the search for its network takes long.

    Raises:
        InputError: If the file cannot be read, is damaged or needs to run code.
    """
    try:
        content = read_weights(url)
    except MissingFileError:  # Its message is about a run file.
        raise InputError(f"{url}: no such file") from None
    kind = file_kind(content)
    if kind not in PROGRAMS:
        return _checkpoint_contents(content, url, kind, reporter)
    # Programs are not opened: loading one can run code from the file.
    graph = describe_graph(content, url) if kind == "onnx" else None
    return FileContents(url, kind, len(content), "", (), (), graph)


def _checkpoint_contents(
    content: bytes, url: str, kind: FileKind, reporter: Reporter
) -> FileContents:
    checkpoint = load_checkpoint(content, url)
    found = require_state_dicts(checkpoint, url)
    keys = averaged_first(found)
    matches: list[Match] = []
    if keys:
        path = PurePosixPath(url)
        named = checkpoint.get("arch")
        hints = [text for text in (named, path.stem, path.parent.name) if isinstance(text, str)]
        matches = Search(found[keys[0]], hints, reporter).matches()
    return FileContents(
        url,
        kind,
        len(content),
        _layout(checkpoint),
        tuple(_described(key, found[key]) for key in keys),
        tuple(matches),
    )


def _layout(checkpoint: Any) -> str:
    keys = checkpoint.keys() if isinstance(checkpoint, dict) else set()
    if "pytorch-lightning_version" in keys:
        return "Lightning"
    if {"arch", "state_dict", "version"} <= keys:
        return "timm"
    return ""


def _described(key: str, state: Mapping[str, Tensor]) -> StateDictContents:
    head = head_of(state)
    statistics = ("running_mean", "running_var")
    return StateDictContents(
        key=key,
        tensors=len(state),
        parameters=sum(
            tensor.numel()
            for name, tensor in state.items()
            if (tensor.is_floating_point() or tensor.is_quantized) and not name.endswith(statistics)
        ),
        types=dict(Counter(_type_of(tensor) for tensor in state.values())),
        batch_norms=sum(name.endswith("running_var") for name in state),
        channels=channels_of(state),
        classes=None if head is None else state[head].shape[0],
    )


def _type_of(tensor: Tensor) -> str:
    sparse = "" if tensor.layout == torch.strided else "sparse "
    return sparse + str(tensor.dtype).removeprefix("torch.")
