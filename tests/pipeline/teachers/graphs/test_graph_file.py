"""Graphs that are refused when they are read, before anything else reads them."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from base.errors import InputError
from pipeline.teachers.graphs import describe_graph, load_graph
from pipeline.teachers.graphs.errors import GraphError
from pipeline.teachers.graphs.graph_file import read_graph_file
from tests.pipeline.teachers.graphs.test_loading import BYTES, plain_classifier, section
from tests.support.teacher_graphs import graph

STORED = np.arange(5, dtype=np.float32)


@pytest.fixture
def outside(tmp_path, monkeypatch):
    """Return a tensor (5,) whose values are in a file of the working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secret.bin").write_bytes(STORED.tobytes())
    tensor = TensorProto(name="k", data_type=TensorProto.FLOAT, dims=[5])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="secret.bin")
    return tensor


def sparse(values):
    indices = numpy_helper.from_array(np.arange(5), "i")
    return onnx.SparseTensorProto(values=values, indices=indices, dims=[5])


def with_nodes(*nodes):
    """Return a classifier whose scores other nodes change: they read `scores` and write `y`."""
    first, constants = plain_classifier()
    return graph([*first[:-1], *nodes], BYTES.shape, constants)


def with_function(nodes, attributes=()):
    """Return a classifier whose scores a function changes: its nodes read `a` and write `b`."""
    model = with_nodes(helper.make_node("F", ["scores"], ["y"], domain="own"))
    own = helper.make_opsetid("own", 1)
    function = helper.make_function(
        "own", "F", ["a"], ["b"], nodes, [helper.make_opsetid("", 17)], attribute_protos=attributes
    )
    model.functions.append(function)
    model.opset_import.append(own)
    return model


def hidden_tensors(tensor):
    """Return graphs with a tensor in each place that holds one, by place."""
    add = helper.make_node("Add", ["scores", "k"], ["y"])
    added = helper.make_node("Add", ["a", "k"], ["b"])
    constant = helper.make_node("Constant", [], ["k"], value=tensor)
    inner = helper.make_graph([], "inner", [], [], [tensor])
    by_name = helper.make_node("Constant", [], ["k"])
    by_name.attribute.add(name="value", ref_attr_name="v", type=onnx.AttributeProto.TENSOR)
    dense = with_nodes(add)
    dense.graph.initializer.append(tensor)
    sparse_weights = with_nodes(add)
    sparse_weights.graph.sparse_initializer.append(sparse(tensor))
    tensors = helper.make_node("Identity", ["scores"], ["y"])
    tensors.attribute.add(name="many", type=onnx.AttributeProto.TENSORS).tensors.append(tensor)
    return {
        "initializer": dense,
        "constant": with_nodes(constant, add),
        "sparse initializer": sparse_weights,
        "sparse constant": with_nodes(
            helper.make_node("Constant", [], ["k"], sparse_value=sparse(tensor)), add
        ),
        "list of tensors": with_nodes(tensors),
        "subgraph": with_nodes(helper.make_node("If", ["scores"], ["y"], then_branch=inner)),
        "function": with_function([constant, added]),
        "default of a function": with_function(
            [by_name, added], [helper.make_attribute("v", tensor)]
        ),
    }


PLACES = list(hidden_tensors(TensorProto(name="k")))


@pytest.mark.parametrize("place", PLACES)
def test_data_in_another_file_is_refused_wherever_the_tensor_is(outside, place):
    model = hidden_tensors(outside)[place]
    expected = "sparse weights" if place == "sparse initializer" else "in another file"
    with pytest.raises(GraphError, match=expected):
        read_graph_file(model.SerializeToString())


@pytest.mark.parametrize("place", PLACES)
def test_weights_in_half_precision_are_refused_wherever_the_tensor_is(place):
    half = numpy_helper.from_array(STORED.astype(np.float16), "k")
    expected = "sparse weights" if place == "sparse initializer" else "in float16"
    with pytest.raises(GraphError, match=expected):
        read_graph_file(hidden_tensors(half)[place].SerializeToString())


@pytest.mark.parametrize("place", ["initializer", "constant", "function"])
def test_same_graphs_with_their_tensors_inside_are_read(place):
    model = hidden_tensors(numpy_helper.from_array(STORED, "k"))[place]
    assert load_graph(model.SerializeToString(), section(), BYTES).network is not None


def unknown_input_type(model):
    model.graph.input[0].type.tensor_type.elem_type = 99


def unknown_weight_type(model):
    model.graph.initializer[0].data_type = 77


def no_outputs(model):
    del model.graph.output[:]


def no_opset(model):
    model.ir_version = 2
    # This version needs every initializer among the inputs.
    weight = helper.make_tensor_value_info("conv.weight", TensorProto.FLOAT, [5, 3, 3, 3])
    model.graph.input.append(weight)
    del model.opset_import[:]


def output_is_input(model):
    model.graph.output[0].name = "x"


def integer_output(model):
    model.graph.node[-1].CopyFrom(helper.make_node("Cast", ["scores"], ["y"], to=TensorProto.INT64))


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        (unknown_input_type, "its input x has the type 99, which ONNX does not define"),
        (unknown_weight_type, "tensor conv.weight has the type 77, which ONNX does not define"),
        (no_outputs, "has no outputs"),
        (no_opset, "no version of the standard operators"),
        (output_is_input, "its output x does not depend on an operator; export it again"),
        (integer_output, "its output y has the type int64"),
    ],
)
def test_malformed_graphs_are_refused_in_one_line(edit, expected):
    nodes, constants = plain_classifier()
    model = graph(nodes, BYTES.shape, constants)
    edit(model)
    content = model.SerializeToString()
    with pytest.raises(InputError, match=expected):
        load_graph(content, section(), BYTES)
    if edit not in (output_is_input, integer_output):
        with pytest.raises(InputError, match=expected):
            describe_graph(content, "teacher.onnx")
