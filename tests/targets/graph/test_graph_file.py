"""Graphs whose tensors lie in files beside them, honest and otherwise."""

import os

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from targets.graph import graph_file
from targets.graph.graph_file import read_graph

WEIGHT = np.arange(6, dtype=np.float32).reshape(2, 3)


def graph_with(tensor, name="weight"):
    """A branch within a branch holds the tensor: no place is too deep."""
    made = helper.make_node("Constant", [], [name], value=tensor)
    out = helper.make_tensor_value_info(name, TensorProto.FLOAT, [2, 3])
    branch = helper.make_graph([made], "branch", [], [out])
    chosen = helper.make_node(
        "If", ["condition"], ["out"], then_branch=branch, else_branch=branch, domain=""
    )
    condition = helper.make_tensor_value_info("condition", TensorProto.BOOL, [])
    answer = helper.make_tensor_value_info("out", TensorProto.FLOAT, [2, 3])
    return helper.make_model(helper.make_graph([chosen], "graph", [condition], [answer]))


def outside_tensor(**places):
    """A tensor that says that it lies elsewhere."""
    tensor = numpy_helper.from_array(WEIGHT, "weight")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in places.items():
        tensor.external_data.add(key=key, value=str(value))
    return tensor


def outside(folder, **places):
    """A file with such a tensor."""
    path = folder / "graph.onnx"
    path.write_bytes(graph_with(outside_tensor(**places)).SerializeToString())
    return path


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "weights").write_bytes(b"head" + WEIGHT.tobytes())
    (inner := tmp_path / "inner").mkdir()
    (inner / "weights").write_bytes(b"head" + WEIGHT.tobytes())
    return inner


def test_tensors_beside_the_graph_are_read(folder):
    model = read_graph(outside(folder, location="weights", offset=4, length=24))
    (value,) = (
        numpy_helper.to_array(a.g.node[0].attribute[0].t)
        for a in model.graph.node[0].attribute
        if a.name == "then_branch"
    )
    np.testing.assert_array_equal(value, WEIGHT)


@pytest.mark.parametrize("location", ["../weights", "/etc/passwd", "missing", "", "."])
def test_no_other_file_is_read(folder, location):
    with pytest.raises(ValueError, match="beside it"):
        read_graph(outside(folder, location=location))


def test_no_link_leads_out_of_the_folder(folder):
    (folder / "link").symlink_to(folder.parent / "weights")
    with pytest.raises(ValueError, match="beside it"):
        read_graph(outside(folder, location="link"))


def test_links_that_cannot_be_followed_are_told_in_one_line(folder):
    (folder / "circle").symlink_to(folder / "circle")
    with pytest.raises(ValueError, match="beside it"):
        read_graph(outside(folder, location="circle"))
    os.link(folder / "weights", folder / "twin")
    with pytest.raises(ValueError, match="weights") as told:
        read_graph(outside(folder, location="weights"))
    assert "\n" not in str(told.value)


def test_tensors_of_functions_and_sparse_ones_are_looked_at_too(folder):
    stray = outside_tensor(location="../weights")
    plain = numpy_helper.from_array(WEIGHT, "plain")
    inside = helper.make_function(
        "own", "f", [], ["y"], [helper.make_node("Constant", [], ["y"], value=stray)], []
    )
    with_function = graph_with(plain)
    with_function.functions.append(inside)
    sparse = graph_with(plain)
    sparse.graph.sparse_initializer.add().values.CopyFrom(stray)
    trained = graph_with(plain)
    trained.training_info.add().algorithm.initializer.append(stray)
    for model in (with_function, sparse, trained):
        (folder / "graph.onnx").write_bytes(model.SerializeToString())
        with pytest.raises(ValueError, match="beside it"):
            read_graph(folder / "graph.onnx")


def test_a_file_is_read_as_what_it_is_not_as_it_is_called(folder):
    plain = graph_with(numpy_helper.from_array(WEIGHT, "plain"))
    (folder / "graph.json").write_bytes(plain.SerializeToString())
    assert read_graph(folder / "graph.json") == plain
    with pytest.raises(ValueError, match="no file"):
        read_graph(folder)


@pytest.mark.parametrize(("offset", "length"), [(4, 25), (29, 0), (1 << 40, 1), (0, 1 << 60)])
def test_nothing_beyond_the_end_of_a_file_is_read(folder, offset, length):
    with pytest.raises(ValueError, match="beyond the end"):
        read_graph(outside(folder, location="weights", offset=offset, length=length))


@pytest.mark.parametrize(("most", "refused"), [(199_999, True), (201_000, False)])
def test_a_file_counts_as_often_as_it_is_named(folder, monkeypatch, most, refused):
    (folder / "weights").write_bytes(bytes(100_000))
    path = outside(folder, location="weights")
    monkeypatch.setattr(graph_file, "MAX_GRAPH_BYTES", most)
    if refused:
        with pytest.raises(ValueError, match="with its tensors"):
            read_graph(path)
    else:
        read_graph(path)


def test_a_file_that_is_too_large(folder, monkeypatch):
    path = outside(folder, location="weights", offset=4)
    monkeypatch.setattr(graph_file, "MAX_GRAPH_BYTES", path.stat().st_size - 1)
    with pytest.raises(ValueError, match="larger than"):
        read_graph(path)


def test_what_is_no_graph(folder):
    path = folder / "graph.onnx"
    path.write_bytes(b"no graph")
    with pytest.raises(ValueError, match="not an ONNX file"):
        read_graph(path)
