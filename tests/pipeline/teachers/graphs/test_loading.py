"""Files that hold the network: what is read from them, and what is refused."""

import io

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from base.errors import InputError
from dfkd.images import ImageSpec
from dfkd.models import build
from dfkd.models.forward_pass import batch_norms
from pipeline.config.network_sections import TeacherSection
from pipeline.config.own_code import FACTORIES_VARIABLE
from pipeline.teachers.graphs import describe_graph, load_graph
from tests.support.teacher_graphs import exported, graph, plain_spec, run_graph

SPEC = plain_spec((1, 28, 28))

BYTES = ImageSpec((3, 6, 8), (0.0,) * 3, (1.0,) * 3, (0.0, 255.0))

RNG = np.random.default_rng(1)


def floats(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def section(**values):
    return TeacherSection(**{"weights": "teacher.onnx", "classes": 5, **values})


def loaded(model, spec, **values):
    content = model if isinstance(model, bytes) else model.SerializeToString()
    return load_graph(content, section(**values), spec)


def refusal(model, spec=BYTES, **values):
    with pytest.raises(InputError) as found:
        loaded(model, spec, **values)
    assert "\n" not in str(found.value)
    return str(found.value)


def classifier(*last, constants=(), name="scores"):
    """Return nodes from `x` (N, 3, H, W) to `y` (N, 5); `last` reads `scores`."""
    nodes = [
        helper.make_node("Conv", ["x", "conv.weight"], ["c"], name="/conv/Conv"),
        helper.make_node("GlobalAveragePool", ["c"], ["p"]),
        helper.make_node("Flatten", ["p"], [name]),
        *last,
    ]
    return nodes, [("conv.weight", floats(5, 3, 3, 3)), *constants]


def plain_classifier():
    return classifier(helper.make_node("Identity", ["scores"], ["y"]))


def test_a_network_is_loaded_with_its_batch_norms_and_notes_say_if_there_are_none():
    network = build("lenet5-bn", SPEC, 5).eval()
    images = torch.rand(3, 1, 28, 28)
    kept = exported(network, (1, 28, 28), dynamo=False, opset=17, keep_batch_norms=True)
    found = loaded(kept, SPEC)
    assert len(batch_norms(found.network)) == len(batch_norms(network)) > 0
    assert found.notes == ()
    torch.testing.assert_close(found.network(images), network(images))
    folded = loaded(exported(network, (1, 28, 28), dynamo=False, opset=17), SPEC)
    assert any("no batch norms" in note and "cmi" in note for note in folded.notes)
    torch.testing.assert_close(folded.network(images), network(images))


@pytest.mark.parametrize("operators", [["Softmax"], ["LogSoftmax"], ["Softmax", "Log"]])
def test_a_softmax_at_the_end_is_left_out(operators):
    names = ["scores", *(f"v{i}" for i in range(1, len(operators))), "y"]
    last = [
        helper.make_node(operator, [names[i]], [names[i + 1]])
        for i, operator in enumerate(operators)
    ]
    nodes, constants = classifier(*last)
    model = graph(nodes, BYTES.shape, constants)
    found = loaded(model, BYTES)
    assert "left out" in found.notes[0] and operators[0] in found.notes[0]
    images = floats(4, 3, 6, 8)
    logits = found.network(torch.from_numpy(images))
    expected = run_graph(model, images)
    logarithms = torch.log_softmax(logits, 1).detach().numpy()
    if operators == ["Softmax"]:
        logarithms = np.exp(logarithms)
    np.testing.assert_allclose(logarithms, expected, rtol=1e-3, atol=1e-5)
    assert (logits.sum(1) - 1).abs().min() > 1e-3


def softmax_on(shape, *, opset=17, **attributes):
    """Return a graph whose scores (N, 6) get a softmax in another shape."""
    last = [
        helper.make_node("Reshape", ["scores", "shape"], ["a"]),
        helper.make_node("Softmax", ["a"], ["b"], **attributes),
        helper.make_node("Reshape", ["b", "flat"], ["y"]),
    ]
    constants = [("shape", np.array(shape)), ("flat", np.array([-1, 6]))]
    nodes, _ = classifier(*last)
    weights = ("conv.weight", 5 * floats(6, 3, 3, 3))
    return graph(nodes, BYTES.shape, [weights, *constants], opset=opset)


@pytest.mark.parametrize(
    ("model", "is_removed"),
    [
        (softmax_on([-1, 6], axis=1), True),
        (softmax_on([-1, 6, 1, 1], axis=1), True),
        (softmax_on([-1, 6, 1, 1], axis=-3), True),
        (softmax_on([-1, 2, 3], axis=1, opset=11), True),
        (softmax_on([-1, 2, 3], opset=11), True),
        (softmax_on([-1, 2, 3], axis=2, opset=11), False),
        (softmax_on([-1, 2, 3], axis=2), False),
        (softmax_on([-1, 2, 3], axis=1), False),
    ],
)
def test_softmax_is_left_out_only_if_it_covers_all_classes(model, is_removed):
    found = loaded(model, BYTES, classes=6)
    assert any("left out" in note for note in found.notes) == is_removed
    images = floats(64, 3, 6, 8)
    logits = found.network(torch.from_numpy(images)).detach().numpy()
    expected = run_graph(model, images)
    np.testing.assert_array_equal(logits.argmax(1), expected.argmax(1))
    if not is_removed:
        np.testing.assert_allclose(logits, expected, rtol=1e-3, atol=1e-5)


def test_softmax_over_the_only_axis_of_a_single_image_is_left_out():
    last = [
        helper.make_node("Reshape", ["scores", "five"], ["a"]),
        helper.make_node("Softmax", ["a"], ["b"], axis=0),
        helper.make_node("Reshape", ["b", "row"], ["y"]),
    ]
    sizes = [("five", np.array([5])), ("row", np.array([1, 5]))]
    nodes, constants = classifier(*last, constants=sizes)
    model = graph(nodes, BYTES.shape, constants, batch=1)
    assert "Softmax at the end is left out" in loaded(model, BYTES).notes[0]


def test_probabilities_that_are_averaged_get_a_logarithm():
    nodes, constants = classifier(
        helper.make_node("Softmax", ["scores"], ["a"]),
        helper.make_node("Mul", ["scores", "half"], ["b"]),
        helper.make_node("Softmax", ["b"], ["c2"]),
        helper.make_node("Mean", ["a", "c2"], ["y"]),
        constants=[("half", np.float32(0.5))],
    )
    model = graph(nodes, BYTES.shape, constants)
    found = loaded(model, BYTES)
    assert "logarithms" in found.notes[-1]
    images = floats(4, 3, 6, 8)
    probabilities = found.network(torch.from_numpy(images)).exp().detach().numpy()
    np.testing.assert_allclose(probabilities, run_graph(model, images), rtol=1e-4)


def channels_last(first=(), kind=TensorProto.FLOAT, constants=()):
    """Return a graph as tf2onnx makes them: NHWC images, and a Transpose before the layers."""
    nodes, weights = plain_classifier()
    nodes[0].input[0] = "moved"
    source = first[-1].output[0] if first else "x"
    move = helper.make_node("Transpose", [source], ["moved"], perm=[0, 3, 1, 2])
    return graph([*first, move, *nodes], (6, 8, 3), [*weights, *constants], kind=kind)


def test_images_with_channels_last_are_taken_without_a_transpose():
    found = loaded(channels_last(), BYTES)
    assert found.notes[0] == "takes its images as NHWC"
    assert not any("permute" in str(step.operation) for step in found.network.steps)
    images = floats(4, 3, 6, 8)
    logits = found.network(torch.from_numpy(images)).detach().numpy()
    expected = run_graph(found.onnx, images.transpose(0, 2, 3, 1))
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-5)


def test_bytes_and_normalization_in_the_graph():
    first = [
        helper.make_node("Cast", ["x"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("Sub", ["f", "mean"], ["s"]),
        helper.make_node("Div", ["s", "std"], ["d"]),
    ]
    constants = [("mean", np.float32([124, 116, 104])), ("std", np.float32([58, 57, 57]))]
    model = channels_last(first, TensorProto.UINT8, constants)
    found = loaded(model, BYTES)
    assert any("normalizes its images itself (Sub, Div)" in note for note in found.notes)
    images = RNG.integers(0, 256, (4, 3, 6, 8)).astype(np.uint8)
    given = torch.from_numpy(images).float().requires_grad_()
    logits = found.network(given)
    expected = run_graph(model, images.transpose(0, 2, 3, 1))
    np.testing.assert_allclose(logits.detach().numpy(), expected, rtol=1e-3, atol=1e-4)
    (gradient,) = torch.autograd.grad(logits.sum(), given)
    assert gradient.abs().max() > 0
    line = refusal(model, plain_spec((3, 6, 8)))
    assert "uint8" in line and "set mean to 0, std to 1 and value_range to [0, 255]" in line
    floating = channels_last(first[1:], TensorProto.FLOAT, constants)
    floating.graph.node[0].input[0] = "x"
    line = refusal(floating, ImageSpec((3, 6, 8), (0.5,) * 3, (0.2,) * 3))
    assert "normalizes its images itself (Sub, Div" in line


def test_one_of_several_outputs_is_chosen():
    nodes, constants = plain_classifier()
    model = graph(nodes, BYTES.shape, constants)
    model.graph.output.append(helper.make_tensor_value_info("p", TensorProto.FLOAT, None))
    line = refusal(model)
    assert "has 2 outputs (y, p)" in line and "teacher.output" in line
    assert 'such as output: "y"' in line
    assert "no output 'z'" in refusal(model, output="z")
    images = torch.rand(2, 3, 6, 8)
    by_name = loaded(model, BYTES, output="y").network(images)
    torch.testing.assert_close(loaded(model, BYTES, output=0).network(images), by_name)


def branch(name):
    """Return an operator with subgraphs that reads `scores`."""
    value = helper.make_tensor_value_info("inner", TensorProto.FLOAT, None)
    inner = helper.make_graph([helper.make_node("Relu", ["scores"], ["inner"])], "g", [], [value])
    return helper.make_node("If", ["yes"], [name], then_branch=inner, else_branch=inner)


@pytest.mark.parametrize(
    "other",
    [
        helper.make_node("ArgMax", ["scores"], ["other"], axis=1),
        helper.make_node("TopK", ["scores", "one"], ["top", "other"]),
        helper.make_node("NonZero", ["x"], ["other"]),
        branch("other"),
    ],
    ids=lambda node: node.op_type,
)
@pytest.mark.parametrize("is_output", [True, False])
def test_what_the_chosen_output_does_not_depend_on_is_not_converted(other, is_output):
    nodes, constants = classifier(
        other,
        helper.make_node("Softmax", ["scores"], ["y"]),
        constants=[("one", np.array([1])), ("yes", np.array(True))],
    )
    model = graph(nodes, BYTES.shape, constants)
    if is_output:
        kind = TensorProto.FLOAT if other.op_type == "If" else TensorProto.INT64
        model.graph.output.insert(0, helper.make_tensor_value_info("other", kind, None))
        if kind == TensorProto.INT64:
            assert 'such as output: "y"' in refusal(model)
    found = loaded(model, BYTES, **({"output": "y"} if is_output else {}))
    images = floats(4, 3, 6, 8)
    logits = found.network(torch.from_numpy(images))
    expected = graph(nodes, BYTES.shape, constants)
    probabilities = torch.softmax(logits, 1).detach().numpy()
    np.testing.assert_allclose(probabilities, run_graph(expected, images), rtol=1e-3, atol=1e-5)


def test_name_of_digits_needs_quotes_and_the_messages_say_so():
    nodes, constants = classifier(helper.make_node("Identity", ["scores"], ["495"]))
    model = graph(nodes, BYTES.shape, constants)
    model.graph.output[0].name = "495"
    model.graph.output.append(helper.make_tensor_value_info("p", TensorProto.FLOAT, None))
    assert 'such as output: "495"' in refusal(model)
    line = refusal(model, output=495)
    assert 'no output 495, but one of this name; set teacher.output: "495"' in line
    assert loaded(model, BYTES, output="495").network is not None


def test_graphs_that_cannot_be_teachers_are_refused_in_one_line():
    nodes, constants = plain_classifier()
    good = graph(nodes, BYTES.shape, constants)
    assert "input.shape is [3, 5, 5]" in refusal(good, plain_spec((3, 5, 5)))
    assert "[free, 3, 6, 8]" in refusal(good, plain_spec((3, 5, 5)))

    unknown = graph(
        [*classifier(helper.make_node("NonZero", ["scores"], ["y"]))[0]], BYTES.shape, constants
    )
    assert "operator NonZero: is not supported" in refusal(unknown)

    other = graph(
        [*classifier(helper.make_node("FusedGemm", ["scores"], ["y"], domain="com.microsoft"))[0]],
        BYTES.shape,
        constants,
    )
    assert "com.microsoft.FusedGemm is not a standard operator" in refusal(other)

    quantized = graph(
        [helper.make_node("QuantizeLinear", ["x", "s"], ["y"])], BYTES.shape, [("s", np.float32(1))]
    )
    assert "operator QuantizeLinear: the graph is quantized" in refusal(quantized)

    several = graph(nodes, BYTES.shape, constants)
    several.graph.input.append(helper.make_tensor_value_info("mask", TensorProto.FLOAT, [1]))
    assert "has 2 inputs (x, mask)" in refusal(several)

    half = graph(nodes, BYTES.shape, [(constants[0][0], constants[0][1].astype(np.float16))])
    assert "float16" in refusal(half)

    training = graph(
        [helper.make_node("BatchNormalization", ["x", "v", "v", "v", "v"], ["y"], training_mode=1)],
        BYTES.shape,
        [("v", np.ones(3, np.float32))],
    )
    assert "BatchNormalization: is in training mode" in refusal(training)

    assert "damaged" in refusal(good.SerializeToString()[:-40])
    assert "correct teacher.weights" in refusal(b"not a network")
    assert "add teacher.architecture" in refusal(b"\x80\x02}q\x00.")


@pytest.mark.parametrize(
    ("batch", "advice"), [("n", "check the graph with ONNX Runtime"), (1, "a free batch size")]
)
def test_operator_whose_inputs_do_not_fit_prints_no_traceback(batch, advice, capfd, caplog):
    nodes = [helper.make_node("Concat", ["x", "row"], ["y"], axis=0)]
    line = refusal(graph(nodes, BYTES.shape, [("row", floats(3))], batch=batch))
    assert "operator Concat: its inputs do not fit" in line and advice in line
    assert not caplog.records
    assert "Traceback" not in capfd.readouterr().err


def test_weights_in_another_file_are_refused(tmp_path):
    nodes, constants = plain_classifier()
    model = graph(nodes, BYTES.shape, constants)
    onnx.save(
        model, tmp_path / "t.onnx", save_as_external_data=True, location="t.bin", size_threshold=0
    )
    assert "onnx.save" in refusal((tmp_path / "t.onnx").read_bytes())
    # A path in the file is never opened.
    tensor = numpy_helper.from_array(floats(5, 3, 3, 3), "conv.weight")
    onnx.external_data_helper.set_external_data(tensor, "/etc/passwd")
    model.graph.initializer[0].CopyFrom(tensor)
    assert "another file" in refusal(model)


def test_constants_of_any_size_are_refused_before_they_are_made():
    nodes = [
        helper.make_node("ConstantOfShape", ["sizes"], ["huge"]),
        helper.make_node("Add", ["x", "huge"], ["y"]),
    ]
    sizes = np.array([1, 3, 1 << 20, 1 << 20])
    assert "makes a constant of" in refusal(graph(nodes, BYTES.shape, [("sizes", sizes)]))


def test_a_wrong_conversion_is_refused_with_its_operator(monkeypatch):
    from pipeline.teachers.graphs.operators import table

    wrong = table.unary(torch.sigmoid)
    monkeypatch.setitem(table.OPERATORS, "Relu", wrong)
    nodes, constants = classifier(helper.make_node("Identity", ["relu"], ["y"]))
    nodes.insert(3, helper.make_node("Relu", ["scores"], ["relu"], name="/relu"))
    line = refusal(graph(nodes, BYTES.shape, constants))
    assert "operator Relu (node /relu): its output differs from that of ONNX Runtime" in line


class Head(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4)
        self.head = nn.Linear(4, 5)

    def forward(self, images):
        return self.head(torch.relu(self.norm(self.conv(images))).mean((2, 3)))


@pytest.mark.parametrize("kind", ["scripted", "traced", "program"])
def test_programs_and_torchscript_need_trust(kind, monkeypatch):
    network = Head().eval()
    images = torch.rand(3, 1, 28, 28)
    file = io.BytesIO()
    if kind == "program":
        shapes = ({0: torch.export.Dim("n")},)
        torch.export.save(torch.export.export(network, (images,), dynamic_shapes=shapes), file)
    elif kind == "scripted":
        torch.jit.save(torch.jit.script(network), file)
    else:
        torch.jit.save(torch.jit.trace(network, images[:1]), file)
    content = file.getvalue()
    assert "teacher.trusted: true" in refusal(content, SPEC)
    found = loaded(content, SPEC, trusted=True)
    torch.testing.assert_close(found.network(images), network(images))
    assert len(batch_norms(found.network)) == 1
    again = loaded(found.onnx, SPEC)
    torch.testing.assert_close(again.network(images), network(images))
    monkeypatch.setenv(FACTORIES_VARIABLE, "refused")
    assert "which this machine refuses" in refusal(content, SPEC, trusted=True)


def test_describe_graph():
    content = channels_last().SerializeToString()
    found = describe_graph(content, "teacher.onnx")
    assert (found.layout, found.input_type, found.opset) == ("NHWC", "float32", 17)
    assert found.input_sizes == (None, 6, 8, 3)
    assert found.outputs == {"y": (None, 5)}
    assert found.operators["Conv"] == 1 and found.batch_norms == 0
