"""Recognising the kind of a file by its content, with files that the real libraries wrote."""

import io
import pickle
import warnings
from typing import get_args

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from safetensors.torch import save
from torch import nn

from pipeline.teachers.file_kind import FileKind, file_kind


def network():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()).eval()


def written(write):
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        write(file)
    return file.getvalue()


IMAGE = torch.zeros(1, 3, 8, 8)

FILES = {
    "safetensors": lambda: save(network().state_dict()),
    "torch": lambda: written(lambda file: torch.save(network().state_dict(), file)),
    "torch, old format": lambda: written(
        lambda file: torch.save(network().state_dict(), file, _use_new_zipfile_serialization=False)
    ),
    "torch, whole network": lambda: written(lambda file: torch.save(network(), file)),
    "torchscript": lambda: written(
        lambda file: torch.jit.save(torch.jit.trace(network(), IMAGE), file)
    ),
    "exported-program": lambda: written(
        lambda file: torch.export.save(torch.export.export(network(), (IMAGE,)), file)
    ),
    "onnx": lambda: written(
        lambda file: torch.onnx.export(network(), (IMAGE,), file, dynamo=False)
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_file_is_recognised_by_its_content(name):
    content = FILES[name]()
    kind = name.partition(",")[0]
    assert file_kind(content) == kind
    # The kind of a truncated archive cannot be seen: the list of its members is at its end.
    truncated = "damaged archive" if content.startswith(b"PK") else kind
    assert file_kind(content[: len(content) // 2]) == truncated


@pytest.mark.parametrize(
    "content",
    [b"", b"x", b"<!DOCTYPE html>", b"version https://git-lfs.github.com/spec/v1\n", b"PK\x05\x06"],
)
def test_other_content_is_unknown(content):
    assert file_kind(content) == "unknown"


def test_archive_of_something_else_is_unknown(tmp_path):
    import numpy

    numpy.savez(tmp_path / "a.npz", weight=numpy.zeros(3))
    assert file_kind((tmp_path / "a.npz").read_bytes()) == "unknown"


def test_pickle_counts_as_torch():
    """The loader refuses it, because it knows which of its objects are allowed."""
    assert file_kind(pickle.dumps({"a": 1})) == "torch"


@example(b"PK\x03\x04")
@given(st.binary(max_size=200) | st.binary(max_size=200).map(lambda content: b"\x08" + content))
def test_any_content_has_a_kind(content):
    assert file_kind(content) in get_args(FileKind)
