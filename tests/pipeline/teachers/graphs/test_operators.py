"""Each operator, in each of its forms, against ONNX Runtime."""

import numpy as np
import pytest
import torch
from onnx import helper

from pipeline.teachers.graphs.operators.table import OPERATORS
from tests.support.teacher_graphs import converted, graph, plain_spec, run_graph

SHAPE = (4, 6, 8)

RNG = np.random.default_rng(0)


def floats(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def ints(*values):
    return np.array(values, np.int64)


W = ("w", floats(5, 4, 3, 3))
B = ("b", floats(5))
NORM = [("s", floats(4)), ("b", floats(4)), ("m", floats(4)), ("v", np.abs(floats(4)) + 0.1)]

CASES = [
    # operator, attributes, constants in the order of the inputs, opsets
    ("Conv", {}, [W, B], (11, 21)),
    ("Conv", {"pads": [1, 1, 1, 1], "strides": [2, 2]}, [W], (11,)),
    ("Conv", {"pads": [0, 1, 1, 0]}, [W, B], (17,)),
    ("Conv", {"auto_pad": "SAME_UPPER", "strides": [2, 2]}, [W, B], (17,)),
    ("Conv", {"auto_pad": "SAME_LOWER", "strides": [2, 2]}, [W, B], (17,)),
    ("Conv", {"auto_pad": "VALID", "dilations": [2, 2]}, [W], (17,)),
    ("Conv", {"group": 2}, [("w", floats(6, 2, 3, 3))], (17,)),
    ("Conv", {"group": 4, "pads": [1, 1, 1, 1]}, [("w", floats(4, 1, 3, 3))], (17,)),
    ("ConvTranspose", {"strides": [2, 2]}, [("w", floats(4, 3, 2, 2)), ("b", floats(3))], (11, 17)),
    (
        "ConvTranspose",
        {"strides": [2, 2], "output_padding": [1, 1], "pads": [1, 1, 1, 1], "group": 2},
        [("w", floats(4, 3, 3, 3))],
        (17,),
    ),
    ("MatMul", {}, [("w", floats(8, 5))], (13,)),
    ("MatMul", {}, [("w", floats(4, 8, 5))], (13,)),
    ("BatchNormalization", {"epsilon": 1e-3}, NORM, (11, 14, 15, 21)),
    ("InstanceNormalization", {}, NORM[:2], (11, 17)),
    ("GroupNormalization", {"num_groups": 2}, NORM[:2], (21,)),
    ("LayerNormalization", {}, [("s", floats(8)), ("b", floats(8))], (17,)),
    ("LayerNormalization", {"axis": 1}, [("s", floats(*SHAPE))], (17, 21)),
    ("LRN", {"size": 3, "alpha": 0.2, "bias": 2.0}, [], (11, 17)),
    ("Relu", {}, [], (11, 17)),
    ("Clip", {"min": 0.0, "max": 6.0}, [], (10,)),
    ("Clip", {}, [("lo", np.float32(0)), ("hi", np.float32(6))], (11, 17)),
    ("Clip", {}, [("lo", np.float32(-0.5)), ("hi", np.float32(0.7))], (13,)),
    ("Clip", {}, [("lo", np.float32(0.1))], (13,)),
    ("LeakyRelu", {"alpha": 0.2}, [], (11, 16)),
    ("PRelu", {}, [("s", floats(4, 1, 1))], (11, 16)),
    ("PRelu", {}, [("s", floats(1))], (16,)),
    ("Elu", {"alpha": 0.7}, [], (11,)),
    ("Celu", {"alpha": 0.7}, [], (12,)),
    ("Selu", {}, [], (11,)),
    ("Selu", {"alpha": 1.5, "gamma": 0.9}, [], (11,)),
    ("Sigmoid", {}, [], (13,)),
    ("HardSigmoid", {}, [], (11,)),
    ("HardSigmoid", {"alpha": 1 / 6, "beta": 0.5}, [], (14,)),
    ("HardSwish", {}, [], (14,)),
    ("Tanh", {}, [], (13,)),
    ("Gelu", {}, [], (20,)),
    ("Gelu", {"approximate": "tanh"}, [], (20,)),
    ("Mish", {}, [], (18,)),
    ("Softplus", {}, [], (11,)),
    ("Softsign", {}, [], (11,)),
    ("ThresholdedRelu", {"alpha": 0.3}, [], (11,)),
    ("Softmax", {}, [], (11, 13)),
    ("Softmax", {"axis": 1}, [], (11, 13)),
    ("Softmax", {"axis": 3}, [], (11,)),
    ("LogSoftmax", {"axis": 2}, [], (11, 13)),
    ("Erf", {}, [], (13,)),
    ("Dropout", {}, [], (11, 13)),
    ("Dropout", {}, [("r", np.float32(0.5)), ("t", np.bool_(False))], (13,)),
    ("Identity", {}, [], (13,)),
    ("Cast", {"to": 1}, [], (13,)),
    *[(name, {}, [("c", floats(4, 1, 1))], (13,)) for name in ("Add", "Sub", "Mul", "Div")],
    *[(name, {}, [("c", np.float32(0.7))], (14,)) for name in ("Add", "Sub", "Mul", "Div")],
    *[(name, {}, [("c", floats(1, 6, 1)), ("d", floats(8))], (13,)) for name in ("Max", "Min")],
    *[(name, {}, [("c", floats(6, 8)), ("d", floats(8))], (13,)) for name in ("Sum", "Mean")],
    ("Pow", {}, [("e", np.float32(2))], (11, 15)),
    *[(name, {}, [], (13,)) for name in ("Abs", "Ceil", "Exp", "Floor", "Neg", "Round", "Sign")],
    *[(name, {}, [], (13,)) for name in ("Sin", "Cos", "Reciprocal")],
    *[
        (f"Reduce{name}", {"axes": [2, 3], "keepdims": keep}, [], (11,))
        for name in ("Mean", "Max", "Min", "Sum", "L1", "L2", "LogSumExp", "SumSquare")
        for keep in (0, 1)
    ],
    ("ReduceMean", {"keepdims": 0}, [("axes", ints(-1, -2))], (18,)),
    ("ReduceSum", {}, [("axes", ints(1))], (13, 18)),
    ("ReduceProd", {"axes": [3]}, [], (11,)),
    ("ReduceMax", {}, [("axes", ints(2, 3))], (18, 20)),
    ("MaxPool", {"kernel_shape": [2, 2], "strides": [2, 2]}, [], (11, 17)),
    ("MaxPool", {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}, [], (12,)),
    ("MaxPool", {"kernel_shape": [3, 3], "strides": [2, 2], "auto_pad": "SAME_UPPER"}, [], (12,)),
    ("MaxPool", {"kernel_shape": [3, 3], "strides": [1, 1], "auto_pad": "SAME_UPPER"}, [], (12,)),
    ("MaxPool", {"kernel_shape": [3, 3], "pads": [2, 0, 0, 2]}, [], (12,)),
    ("MaxPool", {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1}, [], (12,)),
    ("MaxPool", {"kernel_shape": [2, 2], "dilations": [2, 2]}, [], (12,)),
    ("AveragePool", {"kernel_shape": [2, 2], "strides": [2, 2]}, [], (11, 19)),
    ("AveragePool", {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}, [], (11,)),
    (
        "AveragePool",
        {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "count_include_pad": 1},
        [],
        (11, 19),
    ),
    ("AveragePool", {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1}, [], (19,)),
    (
        "AveragePool",
        {"kernel_shape": [3, 3], "strides": [2, 2], "auto_pad": "SAME_UPPER"},
        [],
        (11,),
    ),
    ("GlobalAveragePool", {}, [], (11,)),
    ("GlobalMaxPool", {}, [], (11,)),
    ("Pad", {"pads": [0, 0, 1, 2, 0, 0, 3, 4], "value": 0.5}, [], (10,)),
    ("Pad", {}, [("p", ints(0, 0, 1, 2, 0, 0, 3, 4))], (11, 17)),
    ("Pad", {"mode": "reflect"}, [("p", ints(0, 0, 1, 2, 0, 0, 3, 4))], (11,)),
    ("Pad", {"mode": "edge"}, [("p", ints(0, 0, 1, 2, 0, 0, 3, 4))], (13,)),
    ("Pad", {}, [("p", ints(0, 1, 0, 0, 0, 2, 0, 0)), ("v", np.float32(0.3))], (13,)),
    ("Pad", {}, [("p", ints(1, 2)), ("v", np.float32(0)), ("a", ints(-1))], (18,)),
    ("Reshape", {}, [("s", ints(0, -1))], (11, 14)),
    ("Reshape", {}, [("s", ints(-1, 24, 8))], (13,)),
    ("Flatten", {}, [], (11, 13)),
    ("Flatten", {"axis": 2}, [], (13,)),
    ("Transpose", {"perm": [0, 2, 3, 1]}, [], (13,)),
    ("Unsqueeze", {"axes": [1, -1]}, [], (11,)),
    ("Unsqueeze", {}, [("a", ints(2))], (13,)),
    ("Slice", {"starts": [1, -3], "ends": [3, 99], "axes": [1, 3]}, [], (9,)),
    ("Slice", {}, [("s", ints(1)), ("e", ints(6)), ("a", ints(3)), ("t", ints(2))], (11, 13)),
    ("Slice", {}, [("s", ints(-1)), ("e", ints(-99)), ("a", ints(2)), ("t", ints(-2))], (13,)),
    ("Gather", {"axis": 1}, [("i", np.array(2))], (13,)),
    ("Gather", {"axis": 3}, [("i", ints(1, -1, 0))], (11,)),
    ("Gather", {"axis": 2}, [("i", np.array([[0, 1], [2, 3]]))], (13,)),
    ("Expand", {}, [("s", ints(1, 4, 6, 8))], (13,)),
    ("Tile", {}, [("r", ints(1, 2, 1, 3))], (13,)),
    ("Trilu", {"upper": 0}, [("k", np.array(1))], (14,)),
    ("Resize", {"mode": "nearest"}, [("r", floats(0)), ("s", np.float32([1, 1, 2, 2]))], (11, 13)),
    (
        "Resize",
        {
            "mode": "nearest",
            "coordinate_transformation_mode": "asymmetric",
            "nearest_mode": "floor",
        },
        [("r", floats(0)), ("s", np.float32([1, 1, 1.5, 2]))],
        (13,),
    ),
    (
        "Resize",
        {"mode": "linear", "coordinate_transformation_mode": "pytorch_half_pixel"},
        [("r", floats(0)), ("s", np.float32([1, 1, 2, 1.5]))],
        (11, 13, 19),
    ),
    (
        "Resize",
        {"mode": "linear", "coordinate_transformation_mode": "align_corners"},
        [("r", floats(0)), ("s", np.float32([1, 1, 2, 3]))],
        (13,),
    ),
    (
        "Resize",
        {"mode": "cubic", "cubic_coeff_a": -0.75},
        [("r", floats(0)), ("s", np.float32([1, 1, 2, 2]))],
        (13,),
    ),
    ("Upsample", {"mode": "nearest"}, [("s", np.float32([1, 1, 2, 3]))], (9,)),
    ("DepthToSpace", {"blocksize": 2}, [], (11, 13)),
    ("DepthToSpace", {"blocksize": 2, "mode": "CRD"}, [], (11,)),
    ("SpaceToDepth", {"blocksize": 2}, [], (13,)),
    ("Einsum", {"equation": "nchw,wk->nchk"}, [("w", floats(8, 3))], (12,)),
]

EACH = [(*case[:3], opset) for case in CASES for opset in case[3]]


def name_of(case):
    operator, attributes, constants, opset = case
    return f"{operator}-{opset}-{list(attributes.values())}-{len(constants)}"


@pytest.mark.parametrize("case", EACH, ids=map(name_of, EACH))
def test_an_operator_computes_what_onnx_runtime_computes(case):
    operator, attributes, constants, opset = case
    names = ["x", *(name for name, _ in constants)]
    model = graph(
        [helper.make_node(operator, names, ["y"], **attributes)], SHAPE, constants, opset=opset
    )
    images = floats(3, *SHAPE)
    found = converted(model, plain_spec(SHAPE))(torch.from_numpy(images)).detach().numpy()
    expected = run_graph(model, images)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_split_in_all_its_forms():
    forms = [
        (11, {"split": [1, 3]}, []),
        (11, {}, []),
        (13, {}, [("sizes", ints(1, 3))]),
        (18, {"num_outputs": 2}, []),
    ]
    for opset, attributes, constants in forms:
        nodes = [
            helper.make_node(
                "Split", ["x", *(n for n, _ in constants)], ["a", "b"], axis=1, **attributes
            ),
            helper.make_node("Concat", ["b", "a"], ["y"], axis=1),
        ]
        images = floats(3, *SHAPE)
        model = graph(nodes, SHAPE, constants, opset=opset)
        found = converted(model, plain_spec(SHAPE))(torch.from_numpy(images)).detach().numpy()
        np.testing.assert_allclose(found, run_graph(model, images), err_msg=f"{opset} {attributes}")


@pytest.mark.parametrize(("opset", "attributes"), [(11, {"axes": [1]}), (13, {})])
def test_squeeze(opset, attributes):
    constants = [] if attributes else [("axes", ints(1))]
    node = helper.make_node("Squeeze", ["x", *(n for n, _ in constants)], ["y"], **attributes)
    model = graph([node], (1, 6, 8), constants, opset=opset)
    images = floats(3, 1, 6, 8)
    found = converted(model, plain_spec((1, 6, 8)))(torch.from_numpy(images)).detach().numpy()
    np.testing.assert_array_equal(found, run_graph(model, images))


@pytest.mark.parametrize("attributes", [{}, {"transB": 1}, {"alpha": 0.5, "beta": 2.0}])
@pytest.mark.parametrize("bias", [None, floats(5), floats(1, 5), floats(1), np.float32(0.5)])
def test_gemm(attributes, bias):
    weight = floats(5, 12) if "transB" in attributes else floats(12, 5)
    constants = [("w", weight)] + ([("b", bias)] if bias is not None else [])
    nodes = [
        helper.make_node("Flatten", ["x"], ["flat"]),
        helper.make_node("Gemm", ["flat", *(n for n, _ in constants)], ["y"], **attributes),
    ]
    model = graph(nodes, (1, 3, 4), constants)
    images = floats(3, 1, 3, 4)
    network = converted(model, plain_spec((1, 3, 4)))
    found = network(torch.from_numpy(images)).detach().numpy()
    np.testing.assert_allclose(found, run_graph(model, images), rtol=1e-4, atol=1e-5)
    assert any(isinstance(module, torch.nn.Linear) for module in network.modules())


def test_one_matrix_with_two_biases():
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["a"]),
        helper.make_node("Add", ["a", "b"], ["c"]),
        helper.make_node("MatMul", ["c", "w"], ["d"]),
        helper.make_node("Add", ["d", "e"], ["y"]),
    ]
    model = graph(nodes, SHAPE, [("w", floats(8, 8)), ("b", floats(8)), ("e", floats(8))])
    images = floats(3, *SHAPE)
    found = converted(model, plain_spec(SHAPE))(torch.from_numpy(images)).detach().numpy()
    np.testing.assert_allclose(found, run_graph(model, images), rtol=1e-3, atol=1e-4)


def test_every_operator_of_the_table_has_a_case():
    elsewhere = {"Concat", "Gemm", "Split", "Squeeze"}
    composed = {
        *("And", "CastLike", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"),
        *(
            "Log",
            "Not",
            "Or",
            "ReduceLogSum",
            "SequenceAt",
            "Shape",
            "Size",
            "SplitToSequence",
            "Sqrt",
            "Where",
        ),
    }
    assert OPERATORS.keys() == {case[0] for case in CASES} | elsewhere | composed


def test_comparisons_and_choices():
    nodes = [
        helper.make_node("Greater", ["x", "half"], ["a"]),
        helper.make_node("Less", ["x", "one"], ["b"]),
        helper.make_node("GreaterOrEqual", ["x", "one"], ["c"]),
        helper.make_node("LessOrEqual", ["x", "half"], ["d"]),
        helper.make_node("Equal", ["x", "half"], ["e"]),
        helper.make_node("And", ["a", "b"], ["f"]),
        helper.make_node("Or", ["c", "d"], ["g"]),
        helper.make_node("Or", ["g", "e"], ["h"]),
        helper.make_node("Not", ["h"], ["i"]),
        helper.make_node("And", ["f", "i"], ["j"]),
        helper.make_node("Abs", ["x"], ["k"]),
        helper.make_node("Sqrt", ["k"], ["l"]),
        helper.make_node("CastLike", ["l", "half"], ["m"]),
        helper.make_node("ReduceLogSum", ["m"], ["n"], axes=[3]),
        helper.make_node("Add", ["n", "one"], ["o"]),
        helper.make_node("Abs", ["o"], ["p"]),
        helper.make_node("Log", ["p"], ["q"]),
        helper.make_node("Where", ["j", "q", "x"], ["y"]),
    ]
    constants = [("half", np.float32(0.5)), ("one", np.float32(1))]
    model = graph(nodes, SHAPE, constants)
    images = floats(3, *SHAPE)
    found = converted(model, plain_spec(SHAPE))(torch.from_numpy(images)).detach().numpy()
    np.testing.assert_allclose(found, run_graph(model, images), rtol=1e-4, atol=1e-5)
