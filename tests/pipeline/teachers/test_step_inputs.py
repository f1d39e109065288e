"""Later steps open the teacher that the teacher step saved, from every kind of file."""

import io

import pytest
import torch
from safetensors.torch import save

from dfkd.images import ImageSpec
from dfkd.models import build
from pipeline.config.run_file import parse_run
from pipeline.roles import STUDENT, TEACHER
from pipeline.step_types import StepContext
from pipeline.steps import teacher
from pipeline.teachers.step_inputs import open_student, open_teacher
from tests.pipeline.test_chain import Silent
from tests.support.quick_run import QUICK
from tests.support.teacher_graphs import exported

CPU = torch.device("cpu")

GREY = ImageSpec((1, 32, 32), (0.1307,), (0.3081,))


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return build("lenet5", GREY, 10).eval()


def torch_bytes(value):
    file = io.BytesIO()
    torch.save(value, file)
    return file.getvalue()


def torchscript_bytes(network):
    file = io.BytesIO()
    torch.jit.save(torch.jit.trace(network, torch.zeros(2, *GREY.shape)), file)
    return file.getvalue()


def wrapped(network, prefix):
    return {f"{prefix}{name}": tensor for name, tensor in network.state_dict().items()}


def zeros(network):
    return {name: torch.zeros_like(tensor) for name, tensor in network.state_dict().items()}


FILES = {
    "safetensors": ("t.safetensors", lambda n: save(n.state_dict()), {}),
    "torch": ("t.pt", lambda n: torch_bytes(n.state_dict()), {}),
    "pth-tar": ("t.pth.tar", lambda n: torch_bytes({"state_dict": wrapped(n, "module.")}), {}),
    "ema": (
        "t.ckpt",
        lambda n: torch_bytes({"model": zeros(n), "model_ema": n.state_dict()}),
        {"weights_key": "model_ema"},
    ),
    "prefix": (
        "t.bin",
        lambda n: torch_bytes({"state_dict": {**wrapped(n, "ema."), **wrapped(n, "net.")}}),
        {"weights_key": "state_dict.ema"},
    ),
    "onnx": (
        "t.onnx",
        lambda n: exported(n, GREY.shape, dynamo=False, opset=17),
        {"architecture": ""},
    ),
    "torchscript": ("t.pt", torchscript_bytes, {"architecture": "", "trusted": True}),
}


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("student", ["same", "other"])
def test_teacher_of_every_kind_of_file_is_opened_by_later_steps(tmp_path, network, kind, student):
    name, content, keys = FILES[kind]
    (tmp_path / name).write_bytes(content(network))
    section = {"weights": str(tmp_path / name), "architecture": "lenet5", "classes": 10, **keys}
    changes = {"teacher": section}
    if student == "same":
        changes["student"] = "same"
    config = parse_run({**QUICK, **changes}, "run.yaml")
    folder = tmp_path / "made"
    folder.mkdir()
    settings = teacher.STEP.settings(config, "")
    made = teacher.run(StepContext(config, settings, {}, folder, None, Silent()))
    inputs = {TEACHER: made.files[TEACHER], STUDENT: made.files[TEACHER]}
    later = StepContext(config, {}, inputs, folder, None, Silent())
    images = GREY.normalise(torch.rand(3, *GREY.shape))
    with torch.no_grad():
        expected = network(images)
        torch.testing.assert_close(open_teacher(later, CPU)(images), expected, rtol=0, atol=1e-5)
        if student == "same":
            opened = open_student(later)
            torch.testing.assert_close(opened(images), expected, rtol=0, atol=1e-5)
        assert not any(module.training for module in open_teacher(later, CPU).modules())
