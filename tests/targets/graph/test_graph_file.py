"""Graphs with tensors in external files, valid and malicious."""

import os

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from targets.graph import graph_file
from targets.graph.graph_file import read_graph

WEIGHT = np.arange(6, dtype=np.float32).reshape(2, 3)


def graph_with(tensor, name="weight"):
    """Return a graph with the tensor in a nested branch."""
    constant = helper.make_node("Constant", [], [name], value=tensor)
    out = helper.make_tensor_value_info(name, TensorProto.FLOAT, [2, 3])
    branch = helper.make_graph([constant], "branch", [], [out])
    branching = helper.make_node(
        "If", ["condition"], ["out"], then_branch=branch, else_branch=branch, domain=""
    )
    condition = helper.make_tensor_value_info("condition", TensorProto.BOOL, [])
    output = helper.make_tensor_value_info("out", TensorProto.FLOAT, [2, 3])
    return helper.make_model(helper.make_graph([branching], "graph", [condition], [output]))


def external_tensor(**location):
    """Return a tensor whose data is in another file."""
    tensor = numpy_helper.from_array(WEIGHT, "weight")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in location.items():
        tensor.external_data.add(key=key, value=str(value))
    return tensor


def graph_file_with(folder, **location):
    """Write a graph with an external tensor and return its path."""
    path = folder / "graph.onnx"
    path.write_bytes(graph_with(external_tensor(**location)).SerializeToString())
    return path


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "weights").write_bytes(b"head" + WEIGHT.tobytes())
    (inner := tmp_path / "inner").mkdir()
    (inner / "weights").write_bytes(b"head" + WEIGHT.tobytes())
    return inner


def test_read_graph_loads_external_tensors(folder):
    model = read_graph(graph_file_with(folder, location="weights", offset=4, length=24))
    (value,) = (
        numpy_helper.to_array(a.g.node[0].attribute[0].t)
        for a in model.graph.node[0].attribute
        if a.name == "then_branch"
    )
    np.testing.assert_array_equal(value, WEIGHT)


@pytest.mark.parametrize("location", ["../weights", "/etc/passwd", "missing", "", "."])
def test_read_graph_refuses_files_outside_the_folder(folder, location):
    with pytest.raises(ValueError, match="not in the graph's folder"):
        read_graph(graph_file_with(folder, location=location))


def test_read_graph_refuses_links_out_of_the_folder(folder):
    (folder / "link").symlink_to(folder.parent / "weights")
    with pytest.raises(ValueError, match="not in the graph's folder"):
        read_graph(graph_file_with(folder, location="link"))


def test_read_graph_reports_unusable_links_in_one_line(folder):
    (folder / "circle").symlink_to(folder / "circle")
    with pytest.raises(ValueError, match="not in the graph's folder"):
        read_graph(graph_file_with(folder, location="circle"))
    os.link(folder / "weights", folder / "copy")
    with pytest.raises(ValueError, match="weights") as caught:
        read_graph(graph_file_with(folder, location="weights"))
    assert "\n" not in str(caught.value)


def test_read_graph_checks_function_sparse_and_training_tensors(folder):
    outside = external_tensor(location="../weights")
    plain = numpy_helper.from_array(WEIGHT, "plain")
    function = helper.make_function(
        "own", "f", [], ["y"], [helper.make_node("Constant", [], ["y"], value=outside)], []
    )
    with_function = graph_with(plain)
    with_function.functions.append(function)
    sparse = graph_with(plain)
    sparse.graph.sparse_initializer.add().values.CopyFrom(outside)
    with_training = graph_with(plain)
    with_training.training_info.add().algorithm.initializer.append(outside)
    for model in (with_function, sparse, with_training):
        (folder / "graph.onnx").write_bytes(model.SerializeToString())
        with pytest.raises(ValueError, match="not in the graph's folder"):
            read_graph(folder / "graph.onnx")


def test_read_graph_ignores_the_file_extension(folder):
    plain = graph_with(numpy_helper.from_array(WEIGHT, "plain"))
    (folder / "graph.json").write_bytes(plain.SerializeToString())
    assert read_graph(folder / "graph.json") == plain
    with pytest.raises(ValueError, match="not a file"):
        read_graph(folder)


@pytest.mark.parametrize(("offset", "length"), [(4, 25), (29, 0), (1 << 40, 1), (0, 1 << 60)])
def test_read_graph_refuses_tensors_beyond_the_end_of_their_file(folder, offset, length):
    with pytest.raises(ValueError, match="beyond the end"):
        read_graph(graph_file_with(folder, location="weights", offset=offset, length=length))


@pytest.mark.parametrize(("limit", "refused"), [(199_999, True), (201_000, False)])
def test_size_limit_counts_a_file_for_every_tensor(folder, monkeypatch, limit, refused):
    (folder / "weights").write_bytes(bytes(100_000))
    path = graph_file_with(folder, location="weights")
    monkeypatch.setattr(graph_file, "MAX_GRAPH_BYTES", limit)
    if refused:
        with pytest.raises(ValueError, match="with its tensors"):
            read_graph(path)
    else:
        read_graph(path)


def test_read_graph_refuses_a_large_file(folder, monkeypatch):
    path = graph_file_with(folder, location="weights", offset=4)
    monkeypatch.setattr(graph_file, "MAX_GRAPH_BYTES", path.stat().st_size - 1)
    with pytest.raises(ValueError, match="bytes, more than"):
        read_graph(path)


def test_read_graph_refuses_a_file_that_is_not_onnx(folder):
    path = folder / "graph.onnx"
    path.write_bytes(b"no graph")
    with pytest.raises(ValueError, match="not an ONNX file"):
        read_graph(path)
