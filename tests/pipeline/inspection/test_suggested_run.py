"""Inspecting checkpoints of many layouts, and checking the run files that they suggest."""

import argparse
import json

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import save_file
from torch import nn

from base.errors import InputError
from dfkd.images import ImageSpec
from dfkd.models import build
from pipeline.cli import main
from pipeline.config.run_file import read_run_file
from pipeline.inspection.contents import inspect_file
from pipeline.inspection.lines import content_lines
from pipeline.inspection.suggested_run import (
    check_run_file,
    suggested_run,
    write_suggested_run,
)
from pipeline.teachers.config_checks import check_config
from pipeline.teachers.network_checks import check_networks
from pipeline.teachers.torchvision_on_cpu import import_torchvision

GRAY = ImageSpec((1, 32, 32), (0.1307,), (0.3081,))
COLOUR = ImageSpec((3, 32, 32), (0.5,) * 3, (0.5,) * 3)


class Silent:
    def say(self, line):
        pass

    def phase(self, name, done, total, losses):
        pass


def registry(name, spec=COLOUR, classes=10, width=1.0):
    torch.manual_seed(0)
    return build(name, spec, classes, width).state_dict()


def torchvision(name, classes):
    torch.manual_seed(0)
    return import_torchvision().models.get_model(name, num_classes=classes).state_dict()


def timm(name, classes):
    import_torchvision()
    import timm

    torch.manual_seed(0)
    return timm.create_model(name, num_classes=classes).state_dict()


def prefixed(prefix, state):
    return {prefix + name: tensor for name, tensor in state.items()}


def profiled(state):
    modules = {name.rpartition(".")[0] for name in state}
    buffers = {f"{name}.{kind}" for name in modules for kind in ("total_ops", "total_params")}
    return {**state, **{name: torch.zeros(1, dtype=torch.float64) for name in buffers}}


def lightning(state):
    return {
        "epoch": 3,
        "pytorch-lightning_version": "2.6.6",
        "state_dict": {**prefixed("model.", state), "criterion.weight": torch.ones(10)},
        "loops": {"fit_loop": {"state_dict": {}}},
        "callbacks": {"ModelCheckpoint{}": {"best_k_models": {"a": torch.tensor(0.5)}}},
        "optimizer_states": [{"state": {0: {"exp_avg": torch.ones(2, 2)}}}],
        "hyper_parameters": {"args": argparse.Namespace(lr=0.1)},
    }


LAYOUTS = {
    "plain.safetensors": lambda: registry("lenet5", GRAY),
    "lightning.ckpt": lambda: lightning(registry("resnet20")),
    "ddp.pth": lambda: prefixed("module.", registry("wrn-16-1", classes=100)),
    "compiled.pt": lambda: prefixed("module._orig_mod.", registry("lenet5-bn", GRAY)),
    "half.bin": lambda: {
        name: tensor.half() if tensor.is_floating_point() else tensor
        for name, tensor in registry("resnet20", width=0.5).items()
    },
    "best.pth.tar": lambda: {
        "model_state": profiled(registry("lenet5-half", GRAY)),
        "best": np.float64(0.9),
    },
    "torchvision": lambda: torchvision("shufflenet_v2_x0_5", 5),
    "reference.pth": lambda: {
        "model": torchvision("squeezenet1_1", 7),
        "model_ema": {
            "n_averaged": torch.tensor(5),
            **prefixed("module.", torchvision("squeezenet1_1", 7)),
        },
        "args": argparse.Namespace(model="squeezenet1_1"),
    },
    "timm.pth.tar": lambda: {
        "arch": "test_resnet",
        "state_dict": timm("test_resnet", 6),
        "state_dict_ema": timm("test_resnet", 6),
        "version": 2,
        "args": argparse.Namespace(model="test_resnet"),
    },
    "two_networks.ckpt": lambda: {
        "state_dict": {
            **prefixed("net.", registry("resnet20")),
            **prefixed("ema_net.", registry("resnet20")),
        }
    },
}

EXPECTED = {
    "plain.safetensors": ("lenet5", 1.0, None, [1, 32, 32], 10),
    "lightning.ckpt": ("resnet20", 1.0, None, [3, 32, 32], 10),
    "ddp.pth": ("wrn-16-1", 1.0, None, [3, 32, 32], 100),
    "compiled.pt": ("lenet5-bn", 1.0, None, [1, 32, 32], 10),
    "half.bin": ("resnet20", 0.5, None, [3, 32, 32], 10),
    "best.pth.tar": ("lenet5-half", 1.0, None, [1, 32, 32], 10),
    "torchvision": ("torchvision:shufflenet_v2_x0_5", 1.0, None, [3, 224, 224], 5),
    "reference.pth": ("torchvision:squeezenet1_1", 1.0, "model_ema", [3, 224, 224], 7),
    "timm.pth.tar": ("timm:test_resnet", 1.0, "state_dict_ema", [3, 160, 160], 6),
    "two_networks.ckpt": ("resnet20", 1.0, "state_dict.ema_net", [3, 32, 32], 10),
}
"""Architecture, width, weights_key, shape and classes."""


def save(state, path):
    if path.suffix == ".safetensors":
        save_file(state, path)
    else:
        torch.save(state, path)
    return str(path)


@pytest.mark.parametrize("name", LAYOUTS)
def test_suggested_run_file_passes_the_checks(tmp_path, name):
    file = save(LAYOUTS[name](), tmp_path / name)
    write_suggested_run(inspect_file(file, Silent()), tmp_path / "run.yaml")
    config = read_run_file(tmp_path / "run.yaml")
    teacher = config.teacher
    assert (
        teacher.architecture,
        teacher.width,
        teacher.weights_key,
        list(config.input.shape),
        teacher.classes,
    ) == EXPECTED[name]
    check_config(config)
    assert check_networks(config, torch.device("cpu")).teacher


def test_every_guess_is_marked(tmp_path):
    file = save(LAYOUTS["reference.pth"](), tmp_path / "reference.pth")
    text = suggested_run(inspect_file(file, Silent()), tmp_path / "runs" / "run.yaml")
    assert text.splitlines()[1:] == [
        "name: reference",
        "teacher:",
        '  weights: "../reference.pth"',
        '  weights_key: "model_ema" # guess: also model',
        "  architecture: torchvision:squeezenet1_1",
        "  classes: 7",
        "input:",
        "  shape: [3, 224, 224] # guess: torchvision's for ImageNet",
        "  mean: [0.485, 0.456, 0.406] # guess: torchvision's for ImageNet",
        "  std: [0.229, 0.224, 0.225] # guess: torchvision's for ImageNet",
        "student: same",
    ]


@pytest.mark.parametrize(
    ("name", "resize"),
    [("mobilenet_v2-b0353104.pth", 256), ("mobilenet_v2-7ebf99e0.pth", 232), ("own.pth", 232)],
)
def test_torchvision_network_for_imagenet_has_the_keys_for_pictures(tmp_path, name, resize):
    file = save(torchvision("mobilenet_v2", 1_000), tmp_path / name)
    write_suggested_run(inspect_file(file, Silent()), tmp_path / "run.yaml")
    lines = (tmp_path / "run.yaml").read_text().splitlines()
    assert f"  resize: {resize} # guess: torchvision's for ImageNet" in lines
    images = read_run_file(tmp_path / "run.yaml").input
    assert (images.resize, images.crop, images.interpolation) == (resize, 224, "bilinear")


def own_network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(288, 7))


def test_unknown_network_leaves_only_its_name_open(tmp_path):
    contents = inspect_file(save(own_network().state_dict(), tmp_path / "Own net.pt"), Silent())
    assert contents.matches == ()
    text = suggested_run(contents, tmp_path / "run.yaml")
    assert "architecture: package.module:factory # guess: no known network fits" in text
    assert "name: own-net\n" in text
    assert "classes: 7\n" in text
    assert "fits: no network" in "\n".join(content_lines(contents))


def test_existing_run_file_is_not_overwritten(tmp_path):
    contents = inspect_file(save(registry("lenet5", GRAY), tmp_path / "t.pt"), Silent())
    (tmp_path / "run.yaml").write_text("mine")
    with pytest.raises(InputError, match="already exists; choose another name"):
        write_suggested_run(contents, tmp_path / "run.yaml")
    assert (tmp_path / "run.yaml").read_text() == "mine"


def test_program_is_shown_but_suggests_no_run_file(tmp_path):
    path = tmp_path / "t.pt"
    torch.jit.trace(nn.Conv2d(3, 4, 3), torch.zeros(1, 3, 8, 8)).save(path)
    contents = inspect_file(str(path), Silent())
    assert next(content_lines(contents)).endswith("torchscript, 0.0 MB")
    with pytest.raises(InputError, match="a program, which is not opened"):
        suggested_run(contents, tmp_path / "run.yaml")


def test_command_prints_text_and_json(tmp_path, capsys):
    def printed(*arguments):
        with pytest.raises(SystemExit) as exit_:
            main(["inspect", *arguments])
        assert exit_.value.code == 0
        return capsys.readouterr().out

    file = save(LAYOUTS["lightning.ckpt"](), tmp_path / "t.ckpt")
    shown = printed(file, "--write", str(tmp_path / "run.yaml"))
    assert "torch, checkpoint of Lightning" in shown
    assert "state dict state_dict: 117 tensors (98 float32, 19 int64)" in shown
    assert "fits: resnet20, prefix model." in shown
    assert (tmp_path / "run.yaml").is_file()
    found = json.loads(printed(file, "--json"))
    assert found["state_dicts"][0]["batch_norms"] == 19
    assert found["matches"][0]["architecture"] == "resnet20"


@pytest.mark.parametrize("name", ["123", "no", "null", "1e3", "t"])
def test_name_of_any_file_is_a_text_in_the_run_file(tmp_path, name):
    path = save(registry("lenet5", GRAY), tmp_path / f"{name}.pt")
    write_suggested_run(inspect_file(str(path), Silent()), tmp_path / "run.yaml")
    assert read_run_file(tmp_path / "run.yaml").name == name


def test_keys_of_the_file_cannot_add_lines_to_the_run_file(tmp_path):
    state = registry("lenet5", GRAY)
    evil = 'x"\n  trusted: true\n  y: "\u2028\u0085'
    torch.save({evil: state, f"{evil}2": state}, tmp_path / "t.pt")
    text = suggested_run(inspect_file(str(tmp_path / "t.pt"), Silent()), tmp_path / "run.yaml")
    assert "trusted" not in yaml.safe_load(text)["teacher"]
    assert yaml.safe_load(text)["teacher"]["weights_key"] == evil


def test_file_without_a_state_dict_is_not_called_a_program(tmp_path):
    torch.save({"scores": [1, 2]}, tmp_path / "t.pt")
    with pytest.raises(InputError, match=r"no state dict in the file \(found the keys scores"):
        inspect_file(str(tmp_path / "t.pt"), Silent())


def test_missing_file_is_named_without_a_run_file(tmp_path):
    with pytest.raises(InputError) as caught:
        inspect_file(str(tmp_path / "none.pt"), Silent())
    assert str(caught.value) == f"{tmp_path}/none.pt: no such file"


def test_folder_of_the_run_file_must_exist(tmp_path):
    with pytest.raises(InputError, match="its folder does not exist"):
        check_run_file(tmp_path / "none" / "run.yaml")
