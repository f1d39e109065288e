"""Run files that `inspect` writes for ONNX graphs."""

import pytest
import torch
from onnx import TensorProto, helper

from dfkd.images import ImageSpec
from dfkd.models import build
from pipeline.config.run_file import read_run_file
from pipeline.inspection.contents import inspect_file
from pipeline.inspection.lines import content_lines
from pipeline.inspection.suggested_run import suggested_run, write_suggested_run
from pipeline.teachers.config_checks import check_config
from pipeline.teachers.network_checks import check_networks
from tests.pipeline.test_chain import Silent
from tests.support.teacher_graphs import exported, graph

GREY = ImageSpec((1, 32, 32), (0.1307,), (0.3081,))


@pytest.fixture
def suggested(tmp_path):
    """Return a function that writes a graph, and the run file that it suggests."""

    def write(content):
        (tmp_path / "digits.onnx").write_bytes(content)
        contents = inspect_file(str(tmp_path / "digits.onnx"), Silent())
        write_suggested_run(contents, tmp_path / "run.yaml")
        return contents, read_run_file(tmp_path / "run.yaml")

    return write


def pooled(sizes, kind=TensorProto.FLOAT, *before):
    """Return a graph whose logits are the means of its three channels."""
    last = before[-1].output[0] if before else "x"
    nodes = [*before, helper.make_node("GlobalAveragePool", [last], ["p"])]
    return graph([*nodes, helper.make_node("Flatten", ["p"], ["y"])], sizes, kind=kind)


def test_run_file_of_an_exported_network_passes_the_checks(suggested):
    torch.manual_seed(0)
    content = exported(build("lenet5-bn", GREY, 10), GREY.shape, dynamo=False, opset=17)
    contents, config = suggested(content)
    assert (config.input.shape, config.teacher.classes) == (GREY.shape, 10)
    assert config.teacher.architecture == ""
    check_config(config)
    assert check_networks(config, torch.device("cpu")).teacher is not None
    text = "\n".join(content_lines(contents))
    assert "input: images, float32 [free, 1, 32, 32] (NCHW)" in text
    assert "opset 17, 0 batch norms" in text


def test_sizes_of_the_file_are_no_guesses_but_the_normalization_is(suggested, tmp_path):
    contents, _ = suggested(pooled((3, 48, 64)).SerializeToString())
    lines = suggested_run(contents, tmp_path / "other.yaml").splitlines()
    assert "  shape: [3, 48, 64]" in lines
    assert all("# guess" in line for line in lines if line.startswith(("  mean", "  std")))


def test_channels_last_graph_gets_its_own_shape(suggested):
    move = helper.make_node("Transpose", ["x"], ["t"], perm=[0, 3, 1, 2])
    _, config = suggested(pooled((48, 64, 3), TensorProto.FLOAT, move).SerializeToString())
    assert config.input.shape == (3, 48, 64)


def test_graph_of_pixels_gets_their_range_and_no_normalization(suggested):
    cast = helper.make_node("Cast", ["x"], ["f"], to=TensorProto.FLOAT)
    _, config = suggested(pooled((3, 8, 8), TensorProto.UINT8, cast).SerializeToString())
    assert config.input.value_range == (0, 255)
    assert set(config.input.mean) == {0} and set(config.input.std) == {1}
