"""Run files that `inspect` writes for ONNX graphs."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from dfkd.images import ImageSpec
from dfkd.models import build
from pipeline.config.run_file import read_run_file
from pipeline.inspection.contents import inspect_file
from pipeline.inspection.lines import content_lines
from pipeline.inspection.suggested_graph import output_lines
from pipeline.inspection.suggested_run import suggested_run, write_suggested_run
from pipeline.teachers.config_checks import check_config
from pipeline.teachers.graphs.description import describe_graph
from pipeline.teachers.network_checks import check_networks
from tests.pipeline.test_chain import Silent
from tests.support.teacher_graphs import exported, graph

GREY = ImageSpec((1, 32, 32), (0.1307,), (0.3081,))


@pytest.fixture
def suggested(tmp_path):
    """Return a function that writes a graph, and the run file that it suggests."""

    def write(content):
        if not isinstance(content, bytes):
            content = content.SerializeToString()
        (tmp_path / "digits.onnx").write_bytes(content)
        (tmp_path / "run.yaml").unlink(missing_ok=True)
        contents = inspect_file(str(tmp_path / "digits.onnx"), Silent())
        write_suggested_run(contents, tmp_path / "run.yaml")
        return contents, read_run_file(tmp_path / "run.yaml")

    return write


def pooled(sizes, kind=TensorProto.FLOAT, *before, constants=()):
    """Return a graph whose logits are the means of its three channels."""
    last = before[-1].output[0] if before else "x"
    nodes = [*before, helper.make_node("GlobalAveragePool", [last], ["p"])]
    return graph([*nodes, helper.make_node("Flatten", ["p"], ["y"])], sizes, constants, kind=kind)


def test_run_file_of_an_exported_network_passes_the_checks(suggested):
    torch.manual_seed(0)
    content = exported(build("lenet5-bn", GREY, 10), GREY.shape, dynamo=False, opset=17)
    contents, config = suggested(content)
    assert (config.input.shape, config.teacher.classes) == (GREY.shape, 10)
    assert config.teacher.architecture == ""
    check_config(config)
    assert check_networks(config, torch.device("cpu")).teacher is not None
    text = "\n".join(content_lines(contents))
    assert "input: images, float32 [free, 1, 32, 32] (NCHW)" in text
    assert "opset 17, 0 batch norms" in text


def test_sizes_of_the_file_are_no_guesses_but_the_normalization_is(suggested, tmp_path):
    contents, _ = suggested(pooled((3, 48, 64)))
    lines = suggested_run(contents, tmp_path / "other.yaml").splitlines()
    assert "  shape: [3, 48, 64]" in lines
    assert all("# guess" in line for line in lines if line.startswith(("  mean", "  std")))


def test_channels_last_graph_gets_its_own_shape(suggested):
    move = helper.make_node("Transpose", ["x"], ["t"], perm=[0, 3, 1, 2])
    _, config = suggested(pooled((48, 64, 3), TensorProto.FLOAT, move))
    assert config.input.shape == (3, 48, 64)


def test_graph_of_pixels_gets_their_range_and_no_normalization(suggested):
    cast = helper.make_node("Cast", ["x"], ["f"], to=TensorProto.FLOAT)
    _, config = suggested(pooled((3, 8, 8), TensorProto.UINT8, cast))
    assert config.input.value_range == (0, 255)
    assert set(config.input.mean) == {0} and set(config.input.std) == {1}


def dense(sizes, *names, classes=10):
    """Return a graph from (N, *sizes) to outputs (N, classes) with the given names."""
    inner = int(np.prod(sizes))
    nodes = [
        helper.make_node("Flatten", ["x"], ["f"]),
        helper.make_node("MatMul", ["f", "w"], ["s"]),
    ]
    nodes += [helper.make_node("Identity", ["s"], [name]) for name in names or ["y"]]
    weights = np.ones((inner, classes), np.float32)
    model = graph(nodes, sizes, [("w", weights)])
    if names:
        del model.graph.output[:]
        model.graph.output.extend(
            helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names
        )
    return model


@pytest.mark.parametrize(
    ("sizes", "shape", "is_guess"),
    [
        ((28, 30), (1, 28, 30), False),
        ((784,), (1, 28, 28), True),
        ((3072,), (3, 32, 32), True),
        ((35,), (1, 1, 35), True),
    ],
)
def test_inputs_without_an_axis_of_channels_get_their_shape(
    suggested, tmp_path, sizes, shape, is_guess
):
    _, config = suggested(dense(sizes))
    assert (config.input.shape, config.teacher.classes) == (shape, 10)
    assert len(config.input.mean) == shape[0]
    (line,) = [x for x in (tmp_path / "run.yaml").read_text().splitlines() if "  shape:" in x]
    assert ("# guess: the input is flat" in line) == is_guess
    assert check_networks(config, torch.device("cpu")).teacher is not None


def test_free_and_absurd_sizes_are_guessed(suggested):
    _, config = suggested(pooled((2**40, 8, 8)))
    assert config.input.shape == (3, 8, 8)
    free = dense((784,))
    free.graph.input[0].type.tensor_type.shape.dim[1].ClearField("dim_value")
    _, config = suggested(free)
    assert config.input.shape == (3, 224, 224)


def test_output_of_size_1_suggests_the_smallest_number_of_classes(suggested, tmp_path):
    _, config = suggested(dense((28, 28), classes=1))
    assert config.teacher.classes == 2
    assert "  classes: 2 # guess: the output has size 1" in (tmp_path / "run.yaml").read_text()


@pytest.mark.parametrize("position", [0, 1])
def test_guessed_output_is_the_one_of_the_shape_and_type_of_logits(suggested, position):
    model = dense((28, 28), "scores")
    others = [
        (helper.make_node("ArgMax", ["s"], ["best"], axis=1, keepdims=0), TensorProto.INT64),
        (helper.make_node("TopK", ["s", "three"], ["top", "ranks"]), TensorProto.INT64),
        (
            helper.make_node("GlobalMaxPool", ["x"], ["largest"]),
            TensorProto.FLOAT,
        ),
    ]
    model.graph.initializer.append(numpy_helper.from_array(np.array([3]), "three"))
    model.graph.node.extend(node for node, _ in others)
    outputs = [helper.make_tensor_value_info(node.output[-1], kind, None) for node, kind in others]
    outputs.insert(len(outputs) * position, model.graph.output[0])
    del model.graph.output[:]
    model.graph.output.extend(outputs)
    _, config = suggested(model)
    assert (config.teacher.output, config.teacher.classes) == ("scores", 10)
    assert check_networks(config, torch.device("cpu")).teacher is not None


@pytest.mark.parametrize("name", ["495", "no", "2024-01-01", "a: b", "# c", "é\u2028\x85\t\"'"])
def test_any_name_of_an_output_is_read_as_that_name(suggested, name):
    _, config = suggested(dense((28, 28), name, "other"))
    assert config.teacher.output == name
    assert check_networks(config, torch.device("cpu")).teacher is not None


@given(st.lists(st.text(min_size=1), min_size=2, max_size=3, unique=True))
def test_lines_with_any_names_are_one_line_of_ascii_each(names):
    description = describe_graph(dense((28, 28)).SerializeToString(), "digits.onnx")
    outputs = dict.fromkeys(names, (None, 10))
    found = list(output_lines(replace(description, outputs=outputs, logits=names[0])))
    assert all(line.isascii() and line.isprintable() for line in found)
    assert yaml.safe_load("\n".join(found)) == {"output": names[0], "classes": 10}


def test_name_is_quoted_if_a_package_has_changed_how_texts_are_dumped(monkeypatch):
    def in_a_block(dumper, text):
        return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|")

    changed = {**yaml.SafeDumper.yaml_representers, str: in_a_block}
    monkeypatch.setattr(yaml.SafeDumper, "yaml_representers", changed)
    description = describe_graph(dense((28, 28)).SerializeToString(), "digits.onnx")
    outputs = dict.fromkeys(("z\n  trusted: true", "other"), (None, 10))
    changed_outputs = replace(description, outputs=outputs, logits=next(iter(outputs)))
    first = next(output_lines(changed_outputs))
    assert first == '  output: "z\\n  trusted: true" # guess: also "other"'


@pytest.mark.parametrize("separator", ["\n", "\r", "\x85", "\u2028", "\u2029"])
def test_names_in_a_graph_add_no_keys(suggested, separator):
    hostile = f"z{separator}  trusted: true{separator}  architecture: os:system{separator}  #"
    for names in (("first", hostile), (hostile, "last")):
        _, config = suggested(dense((28, 28), *names))
        assert config.teacher.output == names[0]
        assert not config.teacher.trusted
        assert config.teacher.architecture == ""


@pytest.mark.parametrize(
    ("operators", "largest"),
    [
        ([("Div", 255.0)], 255),
        ([("Mul", 1 / 255)], 255),
        ([("Sub", [124.0, 116, 104]), ("Div", [58.0, 57, 57])], 255),
        ([("Sub", [124.0, 116, 104])], 255),
        ([("Div", 127.5), ("Sub", 1.0)], 255),
        ([("Sub", [0.485, 0.456, 0.406]), ("Div", [0.229, 0.224, 0.225])], 1),
        ([("Sub", [0.485, 0.456, 0.406]), ("Mul", [4.4, 4.5, 4.4])], 1),
        ([("Mul", 2.0), ("Sub", 1.0)], 1),
        ([("Mul", 255.0), ("Sub", [124.0, 116, 104])], 1),
    ],
)
@pytest.mark.parametrize("is_node", [False, True])
def test_value_range_of_a_graph_that_normalizes_follows_its_constants(
    suggested, operators, largest, is_node
):
    nodes, constants = [], []
    for place, (operator, values) in enumerate(operators):
        value = np.float32(values).reshape(-1, 1, 1) if np.ndim(values) else np.float32(values)
        source = nodes[-1].output[0] if nodes else "x"
        if is_node and np.ndim(values) == 0:
            constant = helper.make_node("Constant", [], [f"k{place}"], value_float=values)
            nodes.insert(0, constant)
        elif is_node:
            tensor = numpy_helper.from_array(value, "")
            nodes.insert(0, helper.make_node("Constant", [], [f"k{place}"], value=tensor))
        else:
            constants.append((f"k{place}", value))
        nodes.append(helper.make_node(operator, [source, f"k{place}"], [f"v{place}"]))
    _, config = suggested(pooled((3, 8, 8), TensorProto.FLOAT, *nodes, constants=constants))
    assert config.input.value_range == (0, largest)
    assert set(config.input.mean) == {0} and set(config.input.std) == {1}
