"""Networks that return several outputs."""

import copy
import re
from collections import OrderedDict, namedtuple

import onnxruntime
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from base.errors import InputError
from dfkd.images import ImageSpec
from pipeline.config.network_sections import TeacherSection
from pipeline.teachers.loading import load_teacher
from pipeline.teachers.networks import build_network, logits_of_blank_image
from pipeline.teachers.outputs import OutputError, OutputPicker, pick_output
from pipeline.tracing.batch_norm_folding import fixed_form

SPEC = ImageSpec((1, 8, 8), (0.0,), (1.0,))

Named = namedtuple("Named", "maps logits")

FORMS = {
    "tuple": lambda maps, logits: (maps, logits),
    "list": lambda maps, logits: [maps, logits],
    "dict": lambda maps, logits: {"maps": maps, "logits": logits},
    "ordered": lambda maps, logits: OrderedDict(maps=maps, logits=logits),
    "named": Named,
    "nested": lambda maps, logits: ((maps, logits), logits),
    "tensor": lambda maps, logits: logits,
    "none": lambda maps, logits: None,
    "empty": lambda maps, logits: (),
}


class Several(nn.Module):
    def __init__(self, num_classes=10, form="tuple", hidden=4):
        super().__init__()
        self.form = form
        self.conv = nn.Conv2d(1, hidden, 3)
        self.norm = nn.BatchNorm2d(hidden)
        self.fc = nn.Linear(hidden, num_classes)

    def forward(self, images):
        maps = self.norm(self.conv(images)).relu()
        return FORMS[self.form](maps, self.fc(maps.mean((2, 3))))


FACTORY = f"{__name__}:Several"


def built(form, output):
    return build_network(FACTORY, 1.0, SPEC, 10, arguments={"form": form}, output=output).eval()


def refusal(form, output):
    with pytest.raises(InputError) as caught:
        logits_of_blank_image(built(form, output), SPEC, 10, "teacher t.pt")
    assert str(caught.value).isprintable()
    return str(caught.value)


@pytest.mark.parametrize(
    ("form", "output"),
    [
        ("tuple", 1),
        ("list", 1),
        ("dict", "logits"),
        ("ordered", "logits"),
        ("named", "logits"),
        ("named", 1),
        ("nested", 1),
        ("tensor", None),
        # Some networks return several outputs only during training.
        ("tensor", "logits"),
        ("tensor", 1),
    ],
)
def test_output_is_picked_and_names_of_weights_stay(form, output):
    network = built(form, output)
    plain = Several(form="tensor").eval()
    plain.load_state_dict(network.state_dict())
    images = torch.randn(3, *SPEC.shape)
    for same in (network, copy.deepcopy(network)):
        assert same.state_dict().keys() == plain.state_dict().keys()
        assert torch.equal(same(images), plain(images))
        assert logits_of_blank_image(same, SPEC, 10, "t").shape == (1, 10)


def test_other_number_of_classes_is_named():
    with pytest.raises(InputError) as caught:
        logits_of_blank_image(built("tensor", None), SPEC, 12, "teacher t.onnx")
    assert str(caught.value) == (
        "teacher t.onnx returns [1, 10] for one image, but teacher.classes: 12 needs [1, 12]; "
        "set teacher.classes: 10 if the teacher has 10 classes"
    )


@pytest.mark.parametrize(
    ("form", "output", "why"),
    [
        ("tuple", None, "returns a tuple of 2; set output to .*, such as output: 1"),
        ("list", None, "returns a list of 2; set output to .*, such as output: 1"),
        ("dict", None, "returns a dict with the keys maps, logits; .* such as output: logits"),
        ("ordered", None, "returns a dict with the keys maps, logits; .* such as output: logits"),
        ("named", None, "named tuple with the fields maps, logits; .* such as output: logits"),
        ("tuple", 2, "returns a tuple of 2, but no output 2; .* such as output: 1"),
        ("tuple", "logits", "returns a tuple of 2, but no output 'logits'"),
        ("dict", 1, "keys maps, logits, but no output 1; .* such as output: logits"),
        ("dict", "logit", "but no output 'logit'"),
        ("named", "logit", "but no output 'logit'"),
        ("nested", 0, "output: 0 is a tuple, not a tensor, in a tuple of 2"),
        ("tuple", 0, r"returns \[1, 4, 6, 6\] for one image"),
        ("none", None, "returns NoneType for one image"),
        ("empty", 0, "returns tuple for one image"),
    ],
)
def test_output_that_is_not_there_is_refused_in_one_line(form, output, why):
    assert re.search(why, refusal(form, output))


@given(
    st.dictionaries(st.text() | st.integers(0), st.just(torch.zeros(1, 3)), min_size=1, max_size=4),
    st.none() | st.text() | st.integers(0),
)
def test_any_key_is_picked_or_refused_in_one_line(outputs, output):
    picker = OutputPicker("mine:net", output)
    if output in outputs:
        assert picker(nn.Identity(), (), outputs) is outputs[output]
    else:
        with pytest.raises(OutputError) as caught:
            picker(nn.Identity(), (), outputs)
        assert str(caught.value).isprintable()


def test_suggested_output_works():
    """The message suggests the output with the shape of logits."""
    for form in ("tuple", "list", "dict", "named", "nested"):
        suggested = refusal(form, None).rpartition("output: ")[2]
        output = int(suggested) if suggested.isdigit() else suggested
        assert logits_of_blank_image(built(form, output), SPEC, 10, "t").shape == (1, 10)


def test_long_names_of_outputs_are_cut():
    outputs = {f"output_number_{i}": torch.zeros(1) for i in range(1_000)}
    with pytest.raises(OutputError) as caught:
        OutputPicker("mine:net", None)(nn.Identity(), (), outputs)
    assert len(str(caught.value)) < 600


def test_several_outputs_only_in_training_are_refused_there_in_one_line():
    class Auxiliary(Several):
        def forward(self, images):
            logits = self.fc(self.conv(images).mean((2, 3)))
            return (logits, logits) if self.training else logits

    images = torch.zeros(2, *SPEC.shape)
    network = pick_output(Auxiliary(), "mine:net", None)
    assert network.eval()(images).shape == (2, 10)
    with pytest.raises(OutputError, match="returns a tuple of 2"):
        network.train()(images)
    assert pick_output(Auxiliary(), "mine:net", 0).train()(images).shape == (2, 10)


def test_teacher_is_loaded_with_arguments_and_output():
    section = TeacherSection(
        weights="t.pt",
        architecture=FACTORY,
        classes=10,
        factory_arguments={"form": "dict", "hidden": 6},
        output="logits",
    )
    state = Several(hidden=6).state_dict()
    teacher = load_teacher(section, SPEC, state, torch.device("cpu"))
    torch.testing.assert_close(teacher.state_dict(), state)
    other = section.model_copy(update={"factory_arguments": {"form": "dict"}})
    with pytest.raises(InputError, match=r"correct .*factory_arguments"):
        load_teacher(other, SPEC, state, torch.device("cpu"))


@pytest.mark.parametrize("form", ["tuple", "dict"])
def test_picked_output_survives_folding_and_export_to_onnx(form, tmp_path):
    network = built(form, {"tuple": 1, "dict": "logits"}[form])
    images = torch.randn(2, *SPEC.shape)
    folded = fixed_form(network, images)
    torch.testing.assert_close(folded(images), network(images))
    path = tmp_path / "network.onnx"
    torch.onnx.export(folded, (images,), path, dynamo=True, verbose=False)
    session = onnxruntime.InferenceSession(path)
    (logits,) = session.run(None, {session.get_inputs()[0].name: images.numpy()})
    torch.testing.assert_close(torch.from_numpy(logits), network(images), atol=1e-5, rtol=1e-4)
