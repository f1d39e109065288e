"""Students that start with the teacher's weights."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from base.errors import InputError
from dfkd.images import ImageSpec
from dfkd.models import build
from pipeline.config.run_file import parse_run
from pipeline.teachers.channel_choice import ChannelChoice
from pipeline.teachers.network_checks import check_networks
from pipeline.teachers.teacher_start import start_from_teacher
from pipeline.teachers.torchvision_on_cpu import import_torchvision
from tests.support.quick_run import QUICK

SPEC = ImageSpec((3, 32, 32), (0.0,) * 3, (1.0,) * 3)
IMAGES = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)).double()


def registry(name, width=1.0):
    return build(name, SPEC, 10, width)


class Mixed(nn.Module):
    """A residual sum, squeeze and excitation, depthwise layers, a concatenation and a flattening.

    The second depthwise layer makes two channels of each. With one channel, a depthwise layer is an
    ordinary one.
    """

    def __init__(self, trunk, branch):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, trunk, 3, 2, 1), nn.BatchNorm2d(trunk), nn.SiLU())
        self.wide = nn.Conv2d(trunk, branch, 1)
        self.depthwise = nn.Conv2d(branch, branch, 3, padding=1, groups=branch)
        self.excite = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(branch, branch, 1))
        self.narrow = nn.Conv2d(branch, trunk, 1)
        self.scale = nn.Parameter(torch.rand(trunk, 1, 1))
        self.doubling = nn.Conv2d(trunk, 2 * trunk, 3, 4, groups=trunk)
        self.slope = nn.PReLU(branch)
        self.head = nn.Linear((2 * trunk + branch) * 16, 5)

    def forward(self, images):
        x = self.stem(images)
        y = self.slope(self.depthwise(self.wide(x)))
        y = y * self.excite(y).sigmoid()
        x = x + self.scale * self.narrow(y)
        joined = torch.cat([self.doubling(x), nn.functional.max_pool2d(y, 4)[:, :, :4, :4]], 1)
        return self.head(joined[:, :, :4, :4].flatten(1))


def randomised(network, seed):
    """Return a network in float64 whose tensors are random, with positive variances."""
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in network.double().state_dict().items():
        if tensor.is_floating_point():
            fan = max(1, tensor[0].numel()) if tensor.ndim > 1 else 1
            tensor.copy_(torch.randn(tensor.shape, generator=generator) / fan**0.5)
            if name.endswith("running_var"):
                tensor.abs_().add_(0.5)
    return network.eval()


def without_dropped_channels(student, teacher, images):
    """Return the teacher with zeros wherever the student takes nothing."""
    teacher = copy.deepcopy(teacher)
    state = teacher.state_dict()
    names = set(student.state_dict()) & set(state)
    for name, axes in ChannelChoice(student, teacher, images, names).positions().items():
        for axis, kept in enumerate(axes):
            dropped = torch.ones(state[name].shape[axis], dtype=torch.bool)
            dropped[torch.from_numpy(kept)] = False
            state[name].index_fill_(axis, dropped.nonzero().flatten(), 0)
    return teacher


def check_equal_outputs(student, teacher, images=IMAGES, seed=0):
    student, teacher = randomised(student, seed + 1), randomised(teacher, seed)
    teacher = without_dropped_channels(student, teacher, images)
    start = start_from_teacher(student, teacher, images)
    assert start.layers == start.all_layers
    assert start.weights == start.all_weights == sum(p.numel() for p in student.parameters())
    expected = teacher(images)
    assert expected.std() > 1e-6
    torch.testing.assert_close(student(images), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ["lenet5", "lenet5-bn", "resnet20", "wrn-16-1", "resnet18"])
def test_student_equals_a_teacher_whose_dropped_channels_are_zero(name):
    check_equal_outputs(registry(name, 0.5), registry(name))


def test_narrow_mobilenet_equals_a_wide_one_whose_dropped_channels_are_zero():
    """It has residual sums and depthwise layers."""
    models = import_torchvision().models
    wide, narrow = (models.mobilenet_v2(width_mult=width, num_classes=7) for width in (1.0, 0.5))
    check_equal_outputs(narrow, wide)


@settings(max_examples=10, deadline=None)
@given(
    st.tuples(st.integers(2, 4), st.integers(2, 4)),
    st.tuples(st.integers(0, 3), st.integers(0, 3)),
    st.integers(0, 1000),
)
def test_property_student_equals_a_teacher_whose_dropped_channels_are_zero(few, more, seed):
    wide = tuple(a + b for a, b in zip(few, more, strict=True))
    check_equal_outputs(Mixed(*few), Mixed(*wide), seed=seed)


def two_layers(hidden):
    return nn.Sequential(nn.Conv2d(1, hidden, 1), nn.ReLU(), nn.Flatten(), nn.Linear(4 * hidden, 2))


def test_output_channels_of_largest_norm_are_taken():
    teacher, student = two_layers(3), two_layers(2)
    with torch.no_grad():
        teacher[0].weight.copy_(torch.tensor([-3.0, 1.0, 2.0]).view(3, 1, 1, 1))
        teacher[0].bias.copy_(torch.tensor([5.0, 9.0, 7.0]))  # The bias is no part of the norm.
        teacher[3].weight.copy_(torch.arange(24.0).view(2, 12))
    start = start_from_teacher(student, teacher, torch.zeros(1, 1, 2, 2))
    assert student[0].weight.flatten().tolist() == [-3.0, 2.0]
    assert student[0].bias.tolist() == [5.0, 7.0]
    first = [0, 1, 2, 3, 8, 9, 10, 11]
    assert student[3].weight.tolist() == [first, [x + 12 for x in first]]
    assert torch.equal(student[3].bias, teacher[3].bias)
    assert str(start) == "2 of 2 layers from the teacher, 100 % of the weights"


def test_norm_is_that_of_the_weights_with_folded_batch_norm():
    def network(hidden):
        convolution = nn.Conv2d(1, hidden, 1, bias=False)
        head = nn.Sequential(nn.Flatten(), nn.Linear(4 * hidden, 2))
        return nn.Sequential(convolution, nn.BatchNorm2d(hidden), *head)

    teacher, student = network(3), network(1)
    with torch.no_grad():
        teacher[0].weight.copy_(torch.tensor([3.0, 2.0, 1.0]).view(3, 1, 1, 1))
        teacher[1].weight.copy_(torch.tensor([1.0, 4.0, 2.0]))
        teacher[1].running_var.copy_(torch.tensor([1.0, 64.0, 0.25]))  # Factors 1, 0.5 and 4.
    start_from_teacher(student, teacher, torch.zeros(1, 1, 2, 2))
    assert student[0].weight.item() == 1.0
    assert student[1].running_var.item() == 0.25


class Residual(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.first, self.second = nn.Conv2d(1, width, 1), nn.Conv2d(width, width, 1)
        self.head = nn.Linear(width, 2)

    def forward(self, images):
        x = self.first(images)
        return self.head((x + self.second(x)).mean((2, 3)))


def test_channels_that_are_added_are_chosen_together():
    """The squared norms are 9, 4, 1 and 0, 0, 16; in sum 9, 4, 17."""
    teacher, student = Residual(3), Residual(2)
    with torch.no_grad():
        teacher.first.weight.copy_(torch.tensor([3.0, 2.0, 1.0]).view(3, 1, 1, 1))
        second = torch.tensor([[0.0, 0.0, 0.0], [0.0, 0.0, 0.0], [4.0, 0.0, 0.0]])
        teacher.second.weight.copy_(second.view(3, 3, 1, 1))
    start_from_teacher(student, teacher, torch.zeros(1, 1, 2, 2))
    assert student.first.weight.flatten().tolist() == [3.0, 1.0]
    assert student.second.weight.squeeze().tolist() == [[0.0, 0.0], [4.0, 0.0]]
    assert torch.equal(student.head.weight, teacher.head.weight[:, [0, 2]])


def test_student_with_fewer_blocks_takes_the_blocks_of_the_same_name():
    student, teacher = registry("resnet20"), registry("resnet56")
    start = start_from_teacher(student, teacher, IMAGES.float())
    assert start.layers == start.all_layers == 39
    assert torch.equal(student.layer2[2].conv1.weight, teacher.layer2[2].conv1.weight)
    assert torch.equal(student.linear.weight, teacher.linear.weight)


def test_equal_networks_become_equal():
    student, teacher = registry("wrn-16-1"), randomised(registry("wrn-16-1"), 1).float()
    start_from_teacher(student, teacher, IMAGES.float())
    for name, tensor in student.state_dict().items():
        assert torch.equal(tensor, teacher.state_dict()[name])


def test_layers_without_counterpart_keep_their_weights():
    """The second layer has another kernel size, the third more channels than the teacher's."""
    teacher = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3), nn.Conv2d(4, 2, 1))
    student = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 5), nn.Conv2d(4, 3, 1))
    before = copy.deepcopy(student.state_dict())
    start = start_from_teacher(student, teacher, IMAGES.float())
    assert (start.layers, start.all_layers, start.weights) == (1, 3, 3 * 4 * 9 + 4)
    for name, tensor in student.state_dict().items():
        expected = teacher.state_dict() if name.startswith("0.") else before
        assert torch.equal(tensor, expected[name])


def test_tensors_of_a_weight_norm_are_copied():
    student, teacher = (
        nn.Sequential(weight_norm(nn.Conv2d(3, 4, 1)), nn.Conv2d(4, hidden, 1)) for hidden in (2, 3)
    )
    start = start_from_teacher(student, teacher, IMAGES.float())
    assert torch.equal(student[0](IMAGES.float()), teacher[0](IMAGES.float()))
    assert start.layers == 2


class Rolled(nn.Module):
    """The order of the channels is changed between the layers."""

    def __init__(self, hidden):
        super().__init__()
        self.first, self.last = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1)
        self.hidden, self.head = nn.Conv2d(4, hidden, 1), nn.Linear(hidden, 2)

    def forward(self, images):
        x = self.hidden(self.last(self.first(images)))
        return self.head(x.mean((2, 3)).roll(1, 1))


def test_channels_behind_an_unknown_function_are_not_cut():
    student, teacher = Rolled(2), Rolled(3)
    start = start_from_teacher(student, teacher, IMAGES.float())
    assert start.layers == 2
    assert torch.equal(student.last.weight, teacher.last.weight)


def test_check_reports_the_share_and_refuses_a_foreign_student():
    section = {"architecture": "lenet5-half", "start": "teacher"}
    run = parse_run({**QUICK, "student": section}, "run.yaml")
    found = check_networks(run, torch.device("cpu"))
    assert str(found.start) == "5 of 5 layers from the teacher, 100 % of the weights"
    foreign = parse_run({**QUICK, "student": {**section, "architecture": "resnet20"}}, "run.yaml")
    with pytest.raises(InputError, match="no layer of resnet20 has the name of a layer of lenet5"):
        check_networks(foreign, torch.device("cpu"))


def test_students_start_at_random_by_default():
    run = parse_run({**QUICK, "student": {"architecture": "lenet5-half"}}, "run.yaml")
    assert check_networks(run, torch.device("cpu")).start is None
