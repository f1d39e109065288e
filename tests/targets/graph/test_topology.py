"""Constants of every form, and operators of every domain."""

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from targets.graph.topology import Graph, node_name, operator, output_axis


def graph_of(*nodes, initializers=()):
    graph = helper.make_graph(list(nodes), "graph", [], [], list(initializers))
    return Graph(helper.make_model(graph))


@pytest.mark.parametrize(
    ("attribute", "expected"),
    [
        ({"value": numpy_helper.from_array(np.float16([1, 2]))}, np.float16([1, 2])),
        ({"value_float": 0.25}, np.float32(0.25)),
        ({"value_floats": [0.5, 2.0]}, np.float32([0.5, 2])),
        ({"value_int": 3}, np.int64(3)),
        ({"value_ints": [3, -1]}, np.int64([3, -1])),
    ],
)
def test_constant_node_has_a_value(attribute, expected):
    graph = graph_of(helper.make_node("Constant", [], ["c"], **attribute))
    value = graph.constants["c"]
    assert graph.types["c"] == helper.np_dtype_to_tensor_dtype(expected.dtype)
    assert value.dtype == expected.dtype
    np.testing.assert_array_equal(value, expected)


def test_text_and_nodes_of_other_domains_are_no_constants():
    graph = graph_of(
        helper.make_node("Constant", [], ["text"], value_string="0.5"),
        helper.make_node("Constant", [], ["other"], value_float=0.5, domain="own"),
    )
    assert graph.constants == {}


@pytest.mark.parametrize("kind", [TensorProto.FLOAT, TensorProto.UNDEFINED, 999])
def test_tensor_that_does_not_fit_its_shape_is_one_line(kind):
    broken = TensorProto(name="w", data_type=kind, dims=[3], raw_data=bytes(8))
    with pytest.raises(ValueError, match=r"malformed graph: .*\[3\].*: 'w'; ") as caught:
        graph_of(initializers=[broken])
    assert "\n" not in str(caught.value)


def test_long_chain_of_quantizers_from_a_constant_is_a_weight():
    chain = [
        helper.make_node("DequantizeLinear", [f"t{i}", "s"], [f"t{i + 1}"]) for i in range(3000)
    ]
    start = [numpy_helper.from_array(np.int8([1]), "t0")]
    assert graph_of(*chain, initializers=start).is_weight("t3000")


def test_omitted_operands_are_no_tensor():
    nodes = [helper.make_node("Dropout", ["x"], ["y", ""]), helper.make_node("Clip", ["y", ""], [])]
    graph = graph_of(*nodes)
    assert "" not in graph.producer
    assert "" not in graph.consumers


def test_operator_and_name_of_a_node():
    assert operator(helper.make_node("Conv", [], [], domain="ai.onnx")) == "Conv"
    assert operator(helper.make_node("Conv", [], [], domain="own")) == "own::Conv"
    assert node_name(helper.make_node("TopK", [], ["", "indices"])) == "indices"
    assert node_name(helper.make_node("Print", [], [])) == "Print"


@pytest.mark.parametrize(("transposed", "axis"), [(0, 1), (1, 0)])
def test_output_axis(transposed, axis):
    assert output_axis(helper.make_node("Gemm", [], [], transB=transposed)) == axis
    assert output_axis(helper.make_node("MatMul", [], [])) == -1
