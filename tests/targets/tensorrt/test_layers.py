"""Layer tables in the formats of all TensorRT versions."""

import pytest

from targets.tensorrt.layers import (
    DetailsMissingError,
    Layer,
    float_layers,
    layer_summary,
    parse_layers,
    reformat_layers,
)

VERSION_8_TABLE = {
    "Layers": [
        {
            "Name": "Reformatting CopyNode for Input Tensor 0 to conv1",
            "LayerType": "Reformat",
            "Inputs": [{"Name": "images", "Format/Datatype": "Row major linear FP32"}],
            "Outputs": [{"Name": "r", "Format/Datatype": "Four wide channel vectorized Int8"}],
            "ParameterType": "Reformat",
            "TacticName": "",
        },
        {
            "Name": "conv1 + relu1",
            "LayerType": "CaskConvolution",
            "Inputs": [{"Name": "r", "Format/Datatype": "Four wide channel vectorized Int8"}],
            "Outputs": [{"Name": "c", "Format/Datatype": "Channel major FP16 format"}],
            "ParameterType": "Convolution",
            "TacticName": "sm87_xmma_fprop_implicit_gemm_i8i8",
        },
        {
            "Name": "pool",
            "LayerType": "CaskPooling",
            "Inputs": [{"Name": "c", "Format/Datatype": "Channel major FP16 format"}],
            "Outputs": [{"Name": "p", "Format/Datatype": "Channel major FP16 format"}],
            "ParameterType": "Pooling",
        },
        {
            "Name": "head",
            "LayerType": "CaskGemmMatrixMultiply",
            "Inputs": [{"Name": "p", "Format/Datatype": "Channel major FP16 format"}],
            "Outputs": [{"Name": "logits", "Format/Datatype": "Row major linear FP32"}],
        },
    ],
    "Bindings": ["images", "logits"],
}


def as_version_11(document):
    """Convert a table to version 11: a field for the type, I/O tensors instead of bindings."""
    types = {"FP32": "Float", "Int8": "Int8", "FP16": "Half"}

    def tensor(old):
        words = old["Format/Datatype"]
        kind = next(name for short, name in types.items() if short in words)
        return {"Name": old["Name"], "Format": "Row major linear", "DataType": kind}

    rows = [
        {
            **row,
            "Inputs": [tensor(t) for t in row["Inputs"]],
            "Outputs": [tensor(t) for t in row["Outputs"]],
        }
        for row in document["Layers"]
    ]
    return {"Layers": rows, "I/O Tensors": [{"Name": "images", "IOMode": "Input"}]}


@pytest.mark.parametrize(
    "document", [VERSION_8_TABLE, as_version_11(VERSION_8_TABLE)], ids=["8-and-10", "11"]
)
def test_parse_layers_reads_both_formats(document):
    table = parse_layers(document)
    assert [(layer.takes, layer.gives) for layer in table] == [
        ("fp32", "int8"),
        ("int8", "fp16"),
        ("fp16", "fp16"),
        ("fp16", "fp32"),
    ]
    assert float_layers(table) == ["head"]
    assert reformat_layers(table) == ["Reformatting CopyNode for Input Tensor 0 to conv1"]
    assert layer_summary(table) == "layers with weights: 1 fp16, 1 int8; reformats: 1"


def test_parse_layers_refuses_names_without_details():
    with pytest.raises(DetailsMissingError):
        parse_layers({"Layers": ["conv1 + relu1", "pool"], "Bindings": ["images"]})


def test_pooling_is_not_weighted():
    assert not Layer("pool", "Pooling", "", "fp16", "fp16").weighted


def test_reformat_of_a_convolution_is_not_weighted():
    name = "Reformatting CopyNode for Output Tensor 0 to conv1"
    assert not Layer(name, "Convolution", "", "fp32", "int8").weighted


def test_foreign_node_is_opaque_and_not_weighted():
    foreign = Layer("{ForeignNode[conv1...fc1]}", "Convolution", "", "int8", "int8")
    copy = Layer("Reformatting CopyNode to {ForeignNode[conv1]}", "Reformat", "", "fp32", "int8")
    assert (foreign.opaque, foreign.weighted) == (True, False)
    assert (copy.opaque, copy.reformats) == (False, True)
    assert "no details of {ForeignNode[conv1...fc1]}" in layer_summary([foreign, copy])


def test_unknown_type_is_other():
    (layer,) = parse_layers({"Layers": [{"Name": "a", "Inputs": [{"Format/Datatype": "BF16"}]}]})
    assert (layer.takes, layer.gives) == ("other", "other")
