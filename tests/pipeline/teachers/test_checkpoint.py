"""Opening checkpoints: kinds of files, layouts, and what they hold beside the weights."""

import argparse
import collections
import datetime
import pathlib

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from base.errors import InputError
from pipeline.teachers.checkpoint import open_checkpoint
from pipeline.teachers.loading import parse_weights
from pipeline.teachers.stand_ins import DictStandIn, StandIn


def state():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).state_dict()


def opened(path, key=None):
    return parse_weights(path.read_bytes(), str(path), key)


def refusal(path, key=None):
    with pytest.raises(InputError) as caught:
        opened(path, key)
    assert str(caught.value).isprintable()
    return str(caught.value)


@pytest.mark.parametrize(
    "name", ["t.ckpt", "t.bin", "t.pth.tar", "t", "t.PTH", "http://x/t.pt?download=true"]
)
def test_torch_file_is_opened_under_any_other_suffix(tmp_path, name):
    torch.save(state(), tmp_path / "t")
    torch.testing.assert_close(parse_weights((tmp_path / "t").read_bytes(), name), state())


@pytest.mark.parametrize("name", ["t.bin", "t", "http://x/t.safetensors?download=true"])
def test_safetensors_file_is_opened_under_any_other_suffix(tmp_path, name):
    save_file(state(), tmp_path / "t")
    torch.testing.assert_close(parse_weights((tmp_path / "t").read_bytes(), name), state())


def test_suffix_of_the_other_kind_is_refused(tmp_path):
    torch.save(state(), tmp_path / "t.safetensors")
    assert "has the suffix .safetensors; rename it to end in .pt" in refusal(
        tmp_path / "t.safetensors"
    )
    save_file(state(), tmp_path / "t.pth")
    assert "has the suffix .pth; rename it to end in .safetensors" in refusal(tmp_path / "t.pth")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid", "run: git lfs pull"),
        (b"<!DOCTYPE html>", "begins with b'<!DOCTYPE ht'"),
        (b"", "damaged, or neither"),
    ],
)
def test_other_content_is_refused(tmp_path, content, reason):
    (tmp_path / "t.pt").write_bytes(content)
    assert reason in refusal(tmp_path / "t.pt")


def test_torchscript_is_called_what_it_is(tmp_path):
    torch.jit.trace(nn.Conv2d(3, 4, 3), torch.zeros(1, 3, 8, 8)).save(tmp_path / "t.pt")
    assert "is TorchScript" in refusal(tmp_path / "t.pt")


BESIDE = {
    "epoch": 3,
    "best": np.float64(0.91),
    "confusion": np.ones((3, 3), dtype=np.int64),
    "args": argparse.Namespace(lr=0.1, device=torch.device("cpu")),
    "config": {"folder": pathlib.PurePosixPath("/data"), "file": pathlib.Path("x")},
    "history": collections.defaultdict(list, loss=[0.5, 0.25]),
    "started": datetime.datetime(2026, 1, 1),
    "took": datetime.timedelta(hours=1),
    "ranges": [slice(1, 2), range(3), frozenset({1})],
    "optimizer": {"state": {0: {"step": torch.tensor(1.0), "exp_avg": torch.ones(4, 3)}}},
    "callbacks": {"ModelCheckpoint": {"best_k_models": {"a.ckpt": torch.tensor(0.5)}}},
}


def test_values_beside_the_weights_are_ignored(tmp_path):
    torch.save({**BESIDE, "state_dict": state()}, tmp_path / "t.ckpt")
    torch.testing.assert_close(opened(tmp_path / "t.ckpt"), state())


def test_values_between_the_weights_are_left_out(tmp_path):
    torch.save({**state(), "epoch": 3, "best": np.float32(0.5)}, tmp_path / "t.pt")
    torch.testing.assert_close(opened(tmp_path / "t.pt"), state())


def test_stand_ins_do_nothing():
    assert vars(StandIn("rm", "-rf")) == {}
    one = StandIn()
    one.__setstate__({"a": 1})
    assert vars(one) == {}
    assert DictStandIn(list) == {}


def test_other_global_is_refused_by_its_name(tmp_path):
    torch.save({"state_dict": state(), "loss": nn.MSELoss()}, tmp_path / "t.pt")
    line = refusal(tmp_path / "t.pt")
    assert "run code (it needs torch.nn.modules.loss.MSELoss)" in line
    assert "save_file(model.state_dict()" in line


@pytest.mark.parametrize(
    "key",
    ["state_dict", "model_state_dict", "model", "net", "ema", "model_ema", "params_ema", "weights"],
)
def test_only_state_dict_is_found_under_any_key(tmp_path, key):
    torch.save({key: state(), "epoch": 1}, tmp_path / "t.pt")
    torch.testing.assert_close(opened(tmp_path / "t.pt"), state())


def test_several_state_dicts_are_never_decided(tmp_path):
    other = {name: tensor + 1 for name, tensor in state().items()}
    torch.save(
        {"model": state(), "extra": {"model_ema": other}, "args": argparse.Namespace()},
        tmp_path / "t.pt",
    )
    assert refusal(tmp_path / "t.pt").endswith(
        "holds 2 state dicts: model (7 tensors), extra.model_ema (7 tensors); set "
        "teacher.weights_key: extra.model_ema, or another of these"
    )
    torch.testing.assert_close(opened(tmp_path / "t.pt", "extra.model_ema"), other)
    torch.testing.assert_close(opened(tmp_path / "t.pt", "model"), state())
    assert "did you mean 'model'?" in refusal(tmp_path / "t.pt", "mode")


@pytest.mark.parametrize("key", ["ema", "state_dict.ema"])
def test_key_may_end_with_a_prefix_of_names(tmp_path, key):
    both = {**{f"net.{k}": v for k, v in state().items()}}
    both |= {f"ema.{k}": v + 1 for k, v in state().items()}
    torch.save({"state_dict": both}, tmp_path / "t.pt")
    torch.testing.assert_close(
        opened(tmp_path / "t.pt", key), {name: tensor + 1 for name, tensor in state().items()}
    )


def test_key_that_fits_several_state_dicts_is_refused_with_longer_keys(tmp_path):
    both = {f"module.{name}": tensor for name, tensor in state().items()}
    torch.save({"model": both, "model_ema": both}, tmp_path / "t.pt")
    line = refusal(tmp_path / "t.pt", "module")
    assert "'module' fits model.module and model_ema.module; set it to one of these" in line
    torch.testing.assert_close(opened(tmp_path / "t.pt", "model_ema.module"), state())


def test_key_that_a_plain_file_lacks_is_refused(tmp_path):
    save_file(state(), tmp_path / "t.safetensors")
    assert "no" in refusal(tmp_path / "t.safetensors", "ema")
    assert refusal(tmp_path / "t.safetensors", "ema").endswith("remove teacher.weights_key")


def test_all_state_dicts_are_listed_by_their_keys(tmp_path):
    torch.save({"a": {"b": state()}, "c": state(), "d": [state()]}, tmp_path / "t.pt")
    assert open_checkpoint((tmp_path / "t.pt").read_bytes(), "t.pt").keys() == {"a.b", "c"}
