"""Searching the networks that a state dict fits."""

import pytest
import torch

from pipeline.inspection.architecture_search import Search
from pipeline.inspection.head_and_stem import channels_of, head_of
from pipeline.inspection.timm_families import likely_networks
from pipeline.teachers.torchvision_on_cpu import import_torchvision

VIT, CONVNEXT = "vit_tiny_patch16_224", "convnext_atto"


class Messages(list):
    def say(self, line):
        self.append(line)

    def phase(self, name, done, total, losses):
        self.append(name)


@pytest.fixture(scope="module")
def timm():
    import_torchvision()
    import timm

    return timm


def meta_state(timm, name, classes):
    with torch.device("meta"):
        state = timm.create_model(name, num_classes=classes).state_dict()
    return dict(sorted(state.items()))


@pytest.mark.parametrize(
    ("name", "head"), [(VIT, "head.weight"), ("test_convnext", "head.fc.weight")]
)
def test_head_and_channels_are_found_in_sorted_state_dicts(timm, name, head):
    state = meta_state(timm, name, 20)
    assert head_of(state) == head
    assert channels_of(state) == 3


@pytest.mark.parametrize("name", ["googlenet", "squeezenet1_1", "mobilenet_v2", "densenet121"])
def test_head_and_channels_are_found_in_convolutional_networks(name):
    with torch.device("meta"):
        network = import_torchvision().models.get_model(name, num_classes=12)
    state = dict(sorted(network.state_dict().items()))
    assert state[head_of(state)].shape[0] == 12
    assert channels_of(state) == 3


def test_state_dict_without_layers_has_no_head_and_no_channels():
    assert head_of({"scale": torch.ones(3)}) is None
    assert channels_of({"scale": torch.ones(3)}) is None
    assert Search({"scale": torch.ones(3)}, [], Messages()).matches() == []


def test_likely_networks_are_of_alike_families_and_have_the_sizes(timm):
    state = meta_state(timm, VIT, 20)
    family = set(timm.list_models(module="vision_transformer"))
    likely = likely_networks(state, timm, lambda name: state if name in family else ())
    assert {name for _, _, name in likely} == family
    assert VIT in [name for _, _, name in likely[:5]]


def test_numbers_as_names_say_nothing_about_the_family(timm):
    assert likely_networks({"0.weight": torch.ones(3, 3)}, timm, lambda name: ()) == []


@pytest.mark.parametrize("hint", [VIT, f"{VIT}.augreg_in21k_ft_in1k"])
def test_name_in_the_hints_is_tried_first(timm, hint):
    messages = Messages()
    (match,) = Search(meta_state(timm, VIT, 20), ["model", hint], messages).matches()
    assert match.architecture == f"timm:{hint}"
    assert match.settings["input_size"] == (3, 224, 224)
    assert messages == []


@pytest.mark.slow
def test_network_of_timm_is_found_without_a_name(timm):
    state = {f"model.{name}": tensor for name, tensor in meta_state(timm, CONVNEXT, 20).items()}
    messages = Messages()
    match = Search(state, [], messages).matches()[0]
    assert (match.architecture, match.prefixes) == (f"timm:{CONVNEXT}", ("model.",))
    assert messages[0] == "searching the networks of timm"
