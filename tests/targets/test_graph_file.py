"""Graphs whose tensors lie in files beside them, honest and otherwise."""

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from targets import graph_file
from targets.graph_file import read_graph

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


def outside(folder, **places):
    """A file whose tensor says that it lies elsewhere."""
    tensor = numpy_helper.from_array(WEIGHT, "weight")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in places.items():
        tensor.external_data.add(key=key, value=str(value))
    path = folder / "graph.onnx"
    path.write_bytes(graph_with(tensor).SerializeToString())
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


@pytest.mark.parametrize(("offset", "length"), [(4, 25), (29, 0), (1 << 40, 1), (0, 1 << 60)])
def test_nothing_beyond_the_end_of_a_file_is_read(folder, offset, length):
    with pytest.raises(ValueError, match="beyond the end"):
        read_graph(outside(folder, location="weights", offset=offset, length=length))


@pytest.mark.parametrize(("most", "refused"), [(199_999, True), (200_000, False)])
def test_a_file_counts_as_often_as_it_is_named(folder, monkeypatch, most, refused):
    (folder / "weights").write_bytes(bytes(100_000))
    path = outside(folder, location="weights")
    monkeypatch.setattr(graph_file, "MOST", most)
    if refused:
        with pytest.raises(ValueError, match="its tensors are larger"):
            read_graph(path)
    else:
        read_graph(path)


def test_a_file_that_is_too_large(folder, monkeypatch):
    path = outside(folder, location="weights", offset=4)
    monkeypatch.setattr(graph_file, "MOST", path.stat().st_size - 1)
    with pytest.raises(ValueError, match="larger than"):
        read_graph(path)


def test_what_is_no_graph(folder):
    path = folder / "graph.onnx"
    path.write_bytes(b"no graph")
    with pytest.raises(ValueError, match="not an ONNX file"):
        read_graph(path)
