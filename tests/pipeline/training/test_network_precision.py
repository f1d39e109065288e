"""The data type and the memory layout that a loop gives its networks."""

import copy

import pytest
import torch
from torch import nn

from base.errors import InputError
from dfkd.models import build, precision
from dfkd.synthesizers import build_generator
from dfkd.training.budget import Plan
from pipeline.config import chosen_precision
from pipeline.config.run_file import parse_run
from pipeline.quantization.fake_quantizers import prepare
from pipeline.quantization.scheme import Scheme
from pipeline.training import network_precision as module
from pipeline.training.network_precision import network_precision
from pipeline.training.resumable_training import make_loop
from targets.catalogue.instruction_sets import Cpu
from tests.support.quick_run import QUICK
from tests.support.tiny import MNIST, SMALL, weights

LARGE = nn.Conv2d(4, 400, 3)

IMAGES = torch.zeros(1, 4, 200, 4)


@pytest.fixture
def machine(monkeypatch):
    """Set whether this CPU multiplies bfloat16 numbers. No network is too small to use them."""
    monkeypatch.setattr(precision, "MIN_MULTIPLY_ADDS", 0)

    def become(bfloat16):
        for place in (module, chosen_precision):
            monkeypatch.setattr(place, "this_cpu", lambda: Cpu("", "x86_64", "vnni", bfloat16))

    return become


def config(precision="auto"):
    return parse_run({**QUICK, "device": "cpu", "precision": precision}, "run.yaml")


def lenet(name):
    torch.manual_seed(0)
    return build(name, MNIST, 10)


def loop(student, *, quantized=False, teacher=None, plan=None):
    return make_loop(
        SMALL,
        config(),
        teacher=teacher or lenet("lenet5-bn").eval().requires_grad_(False),
        generator=build_generator(SMALL, MNIST, 10),
        student=student,
        plan=plan or Plan(1, 1),
        seed=0,
        quantized=quantized,
    )


class Viewing(nn.Module):
    """A network that flattens with `view`, as in many tutorials; it fails in channels_last."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 5)
        self.norm = nn.BatchNorm2d(4)
        self.head = nn.Linear(4 * 28 * 28, 10)

    def forward(self, images):
        x = self.norm(self.conv(images))
        return self.head(x.view(x.size(0), -1))


@pytest.mark.parametrize(
    ("bfloat16", "asked", "expected"),
    [
        (True, "auto", torch.bfloat16),
        (True, "float32", torch.float32),
        (True, "bfloat16", torch.bfloat16),
        (False, "auto", torch.float32),
        (False, "float32", torch.float32),
    ],
)
def test_precision_follows_from_run_file_and_cpu(machine, bfloat16, asked, expected):
    machine(bfloat16)
    assert network_precision(config(asked), LARGE, IMAGES) == expected
    assert network_precision(config(asked), nn.LayerNorm(4), IMAGES) == torch.float32


def test_bfloat16_that_would_be_emulated_is_refused(machine):
    machine(bfloat16=False)
    with pytest.raises(InputError, match=r"AVX512-BF16 or AMX.*use auto"):
        network_precision(config("bfloat16"), LARGE, IMAGES)


@pytest.mark.parametrize("bfloat16", [True, False])
@pytest.mark.parametrize("quantized", [True, False])
def test_fake_quantized_students_stay_in_float32(machine, bfloat16, quantized):
    machine(bfloat16)
    student = lenet("lenet5-half-bn")
    if quantized:
        scheme = Scheme()
        student = prepare(student, torch.randn(8, *MNIST.shape), scheme)
    run, seen = loop(student, quantized=quantized), []
    layer = next(m for m in student.modules() if isinstance(m, nn.Conv2d))
    layer.register_forward_hook(lambda *call: seen.append(call[2].dtype))
    run.run()
    expected = torch.bfloat16 if bfloat16 and not quantized else torch.float32
    assert set(seen) == {expected}


@pytest.mark.parametrize("bfloat16", [True, False])
def test_networks_that_flatten_with_view_can_teach_and_learn(machine, bfloat16):
    machine(bfloat16)
    torch.manual_seed(0)
    teacher = Viewing().eval().requires_grad_(False)
    student = Viewing()
    before = weights(copy.deepcopy(student))
    run = loop(student, teacher=teacher)
    # The trial pass in train mode must not change the running statistics.
    torch.testing.assert_close(weights(student), before)
    run.run()
    assert not torch.equal(weights(student), before)


def test_networks_without_view_get_channels_last(machine):
    machine(bfloat16=True)
    student = lenet("lenet5-half-bn")
    loop(student)
    kernels = [p for p in student.parameters() if p.ndim == 4 and p.shape[1] > 1]
    assert all(p.is_contiguous(memory_format=torch.channels_last) for p in kernels)
    assert not all(p.is_contiguous() for p in kernels)
