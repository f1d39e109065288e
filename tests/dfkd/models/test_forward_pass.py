import pytest
import torch
from torch import nn

from dfkd.images import ImageSpec
from dfkd.models import build
from dfkd.models.forward_pass import (
    batch_norms,
    compared_layers,
    forward_with_features,
    last_linear,
)
from dfkd.recipe import RecipeError
from dfkd.terms.inputs import TermInputs

EVERYTHING = ("statistics", "features", "maps")

GREY = ImageSpec((1, 32, 32), (0.5,), (0.5,))
SMALL_GREY = ImageSpec((1, 28, 28), (0.5,), (0.5,))
COLOUR = ImageSpec((3, 32, 32), (0.5,) * 3, (0.5,) * 3)


def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Conv2d(3, 2, 3), nn.BatchNorm2d(2)
    ).eval()


def classifier():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 3, 3),
        nn.BatchNorm2d(3),
        nn.Flatten(),
        nn.Linear(108, 5),
        nn.ReLU(),
        nn.Linear(5, 4),
    ).eval()


def images(count=4, seed=0):
    return torch.randn(count, 1, 8, 8, generator=torch.Generator().manual_seed(seed))


def hooks(net):
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in net.modules())


def test_statistics_are_those_of_torch_over_images_and_positions():
    net, drawn = network(), images()
    seen = forward_with_features(net, drawn, ["statistics"]).statistics
    first, second = net[0](drawn), net[:4](drawn)
    assert [len(layer.mean) for layer in seen] == [3, 2]
    for layer, inputs in zip(seen, (first, second), strict=True):
        torch.testing.assert_close(layer.mean, inputs.mean((0, 2, 3)))
        torch.testing.assert_close(layer.variance, inputs.var((0, 2, 3), unbiased=False))


def test_variance_includes_differences_between_images():
    net = nn.Sequential(nn.BatchNorm2d(1), nn.Flatten()).eval()
    flat = torch.tensor([1.0, 5.0]).view(2, 1, 1, 1).expand(2, 1, 2, 2)
    (layer,) = forward_with_features(net, flat, ["statistics"]).statistics
    assert layer.variances.abs().max() == 0
    assert layer.mean.item() == 3.0
    assert layer.variance.item() == 4.0


def test_each_image_has_its_own_statistics():
    net, drawn = network(), images()
    whole = forward_with_features(net, drawn, ["statistics"]).statistics[1]
    for index in range(len(drawn)):
        alone = forward_with_features(net, drawn[index : index + 1], ["statistics"]).statistics[1]
        torch.testing.assert_close(whole.means[index], alone.mean)
        torch.testing.assert_close(whole.variances[index], alone.variance)


def test_stored_statistics_are_those_of_the_network():
    net = network()
    net[1].running_mean.fill_(2.0)
    net[1].running_var.fill_(3.0)
    seen = forward_with_features(net, images(), ["statistics"]).statistics
    assert seen[0].stored_mean is net[1].running_mean
    assert seen[0].stored_variance is net[1].running_var
    assert seen[1].stored_mean is net[4].running_mean


def test_statistics_are_in_the_order_of_execution():
    class Backwards(nn.Module):
        def __init__(self):
            super().__init__()
            self.second, self.first = nn.BatchNorm2d(1), nn.BatchNorm2d(1)

        def forward(self, x):
            return self.second(self.first(x)).flatten(1)

    net = Backwards().eval()
    seen = forward_with_features(net, images(), ["statistics"]).statistics
    assert seen[0].stored_mean is net.first.running_mean


def test_logits_do_not_depend_on_the_recording():
    net, drawn = build("resnet20", GREY, 5, width=0.25).eval(), torch.randn(2, 1, 32, 32)
    assert torch.equal(forward_with_features(net, drawn).logits, net(drawn))
    assert torch.equal(forward_with_features(net, drawn, EVERYTHING).logits, net(drawn))


def test_only_the_needed_outputs_are_recorded():
    seen = forward_with_features(
        build("resnet20", GREY, 5, width=0.25).eval(), torch.randn(2, 1, 32, 32)
    )
    assert seen.statistics == []
    assert seen.features is None
    assert seen.maps == []


def test_features_are_the_input_of_the_last_linear_layer():
    net, drawn = classifier(), images()
    seen = forward_with_features(net, drawn, ["features"])
    torch.testing.assert_close(seen.features, net[:5](drawn))
    torch.testing.assert_close(net[5](seen.features), seen.logits)
    assert last_linear(net) is net[5]


@pytest.mark.parametrize("name", ["lenet5-bn", "resnet20", "resnet18", "wrn-16-1"])
def test_features_of_every_architecture_give_the_logits(name):
    net = build(name, GREY, 5, width=0.25).eval()
    seen = forward_with_features(net, torch.randn(2, 1, 32, 32), ["features"])
    torch.testing.assert_close(last_linear(net)(seen.features), seen.logits)


def test_network_without_linear_layer_is_refused_for_features():
    with pytest.raises(RecipeError, match="linear"):
        forward_with_features(network(), images(), ["features"])


@pytest.mark.parametrize(
    ("name", "spec", "sides"),
    [
        # 5x5 convolutions without padding and one pooling; 28 is first padded to 32.
        ("lenet5", GREY, [28, 10]),
        ("lenet5-half", SMALL_GREY, [28, 10]),
        ("lenet5-bn", GREY, [28, 10]),
        ("resnet20", COLOUR, [32, 16, 8]),
        ("resnet32", COLOUR, [32, 16, 8]),
        ("resnet18", COLOUR, [32, 16, 8, 4]),
        ("resnet34", COLOUR, [32, 16, 8, 4]),
        ("wrn-16-2", COLOUR, [32, 16, 8]),
        ("wrn-40-1", COLOUR, [32, 16, 8]),
    ],
)
def test_attention_maps_shrink_from_stage_to_stage(name, spec, sides):
    net = build(name, spec, 5, width=0.25).eval()
    seen = forward_with_features(net, torch.randn(2, *spec.shape), ["maps"])
    assert [tuple(m.shape[2:]) for m in seen.maps] == [(side, side) for side in sides]
    assert len(compared_layers(net)) == len(sides)


@pytest.mark.parametrize("name", ["resnet20", "resnet18", "wrn-16-1"])
def test_last_map_is_pooled_to_the_features(name):
    net = build(name, COLOUR, 5, width=0.25).eval()
    seen = forward_with_features(net, torch.randn(2, 3, 32, 32), ["maps", "features"])
    last = seen.maps[-1]
    if name == "wrn-16-1":
        last = torch.relu(net.bn(last))
    torch.testing.assert_close(seen.features, last.mean((2, 3)))


def test_network_without_compared_layers_is_refused_for_maps():
    with pytest.raises(RecipeError, match="compares stages"):
        forward_with_features(network(), images(), ["maps"])


@pytest.mark.parametrize("part", ["mean", "variance"])
def test_gradient_of_the_statistics_reaches_the_images(part):
    net, drawn = network(), images().requires_grad_()
    layer = forward_with_features(net, drawn, ["statistics"]).statistics[-1]
    getattr(layer, part).sum().backward()
    assert (drawn.grad.flatten(1).norm(dim=1) > 0).all()


def test_gradient_of_features_and_maps_reaches_the_images():
    net = build("resnet20", GREY, 5, width=0.25).eval()
    for part in ("features", "maps"):
        drawn = torch.randn(2, 1, 32, 32, requires_grad=True)
        seen = forward_with_features(net, drawn, ["features", "maps"])
        value = seen.features if part == "features" else seen.maps[0]
        value.square().sum().backward()
        assert (drawn.grad.flatten(1).norm(dim=1) > 0).all()


def test_hooks_are_removed():
    net = build("resnet20", GREY, 5, width=0.25).eval()
    seen = forward_with_features(net, torch.randn(2, 1, 32, 32), EVERYTHING)
    assert seen.statistics
    assert hooks(net) == 0


@pytest.mark.parametrize("needs", [("statistics",), ("features",), ("statistics", "features")])
def test_hooks_are_removed_after_an_error(needs):
    net = classifier()
    with pytest.raises(RuntimeError):
        forward_with_features(net, torch.randn(1, 5, 8, 8), needs)
    assert hooks(net) == 0


@pytest.mark.parametrize("missing", ["features", "maps"])
def test_hooks_are_removed_when_a_need_is_missing(missing):
    net = network()
    with pytest.raises(RecipeError):
        forward_with_features(net, images(), ["statistics", missing])
    assert hooks(net) == 0


def test_batch_norm_without_stored_statistics_is_ignored():
    assert not batch_norms(nn.Sequential(nn.BatchNorm2d(3, track_running_stats=False)))


def test_selected_statistics_are_those_of_the_masked_images():
    net, drawn = classifier(), images(6)
    mask = torch.tensor([True, False, True, True, False, False])
    whole = TermInputs(
        drawn,
        forward_with_features(net, drawn, ["statistics", "features"]),
        student_logits=torch.randn(6, 4),
        labels=torch.arange(6),
        latents=torch.randn(6, 2),
    )
    kept = whole.selected(mask)
    alone = forward_with_features(net, drawn[mask], ["statistics", "features"])
    torch.testing.assert_close(kept.teacher.logits, alone.logits)
    torch.testing.assert_close(kept.teacher.features, alone.features)
    (ours,), (expected,) = kept.teacher.statistics, alone.statistics
    torch.testing.assert_close(ours.mean, expected.mean)
    torch.testing.assert_close(ours.variance, expected.variance)
    assert ours.stored_mean is expected.stored_mean
    assert ours.stored_variance is expected.stored_variance
    assert torch.equal(kept.student_logits, whole.student_logits[mask])
    assert kept.labels.tolist() == [0, 2, 3]
    assert torch.equal(kept.latents, whole.latents[mask])
    # Terms on pixels use the whole batch.
    assert kept.images is drawn


def test_selected_inputs_leave_missing_parts_missing():
    net, drawn = classifier(), images()
    kept = TermInputs(drawn, forward_with_features(net, drawn)).selected(
        torch.tensor([True, False, True, False])
    )
    assert kept.student_logits is kept.labels is kept.latents is kept.teacher.features is None
    assert kept.teacher.statistics == []


def test_selected_inputs_have_no_gradient_to_other_images():
    net, drawn = classifier(), images().requires_grad_()
    mask = torch.tensor([True, False, True, False])
    kept = TermInputs(drawn, forward_with_features(net, drawn, ["statistics"])).selected(mask)
    kept.teacher.statistics[0].variance.sum().backward()
    reached = drawn.grad.flatten(1).norm(dim=1) > 0
    assert torch.equal(reached, mask)
