"""A whole run from an ONNX graph alone, and a recipe that the graph rules out."""

import pytest
import torch
from safetensors.torch import load_file

from base.errors import InputError
from dfkd.models import build
from pipeline.config.run_file import read_run_file
from pipeline.run import execute
from pipeline.store.store import Store
from pipeline.teachers.config_checks import check_config
from pipeline.teachers.network_checks import check_networks
from tests.support.quick_run import EXAMPLE, write_run
from tests.support.teacher_graphs import exported, plain_spec

SHAPE = (1, 32, 32)


class Silent:
    def say(self, line):
        pass

    def phase(self, name, done, total, losses):
        pass


@pytest.fixture
def teacher(tmp_path):
    network = build("lenet5", plain_spec(SHAPE), 10)
    network.load_state_dict(load_file(EXAMPLE / "teacher.safetensors"))
    path = tmp_path / "lenet5.onnx"
    path.write_bytes(exported(network, SHAPE, dynamo=False, opset=13))
    return {"weights": str(path), "classes": 10}


def test_a_recipe_that_needs_batch_norms_is_refused_before_the_run(teacher, tmp_path):
    path = write_run(tmp_path, teacher=teacher, distill={"recipe": "cmi", "budget": {"steps": 10}})
    config = read_run_file(str(path))
    check_config(config)
    with pytest.raises(InputError, match="recipe cmi needs batch norm"):
        check_networks(config, torch.device("cpu"))


@pytest.mark.server
def test_a_run_needs_only_the_graph(teacher, tmp_path):
    path = write_run(
        tmp_path,
        teacher=teacher,
        student="same",
        distill={},
        quantize={"method": "noise", "calibration_images": 64},
        gate={"rounds": 2, "generators": 1, "agreement": 0.5},
    )
    config = read_run_file(str(path))
    manifest = execute(config, Store(str(tmp_path / "store")), tmp_path / "bundle", Silent())
    assert manifest["teacher"]["architecture"] == "lenet5.onnx, 61,706 parameters"
    assert manifest["verdict"]["outcome"] == "pass"
