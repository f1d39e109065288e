"""The models of a bundle, and bundles that cannot be used."""

import json

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from base.errors import InputError
from pipeline.bundle.opening import open_bundle
from pipeline.user_images.bundle_models import bundle_models
from tests.support.brightness_bundle import NAMES, SHAPE, write_brightness_bundle
from tests.support.hostile_input import FUZZ, VALUES, succeeds_or_raises_one_line

PIXELS = np.repeat(np.array([0, 120, 250], np.uint8), 16).reshape(3, *SHAPE)


def opened(folder, **changes):
    write_brightness_bundle(folder, **changes)
    return bundle_models(folder, open_bundle(folder))


def test_old_manifest_without_picture_keys_has_their_defaults(tmp_path):
    found = opened(tmp_path)
    assert (found.input.resize, found.input.crop) == (None, None)
    assert (found.class_names, found.classes, found.note) == (NAMES, 3, "")


@pytest.mark.parametrize("preprocessing", [False, True])
@pytest.mark.parametrize("batch", [None, 2])
def test_runner_takes_pixels_for_every_kind_of_graph(tmp_path, preprocessing, batch):
    found = opened(tmp_path, preprocessing=preprocessing, batch=batch)
    logits = found.runner("int8")(PIXELS)
    assert logits.argmax(1).tolist() == [0, 1, 2]


def test_bundle_for_tensorrt_names_what_runs_here(tmp_path):
    found = opened(tmp_path, run={"teacher": {"classes": 3}, "targets": ["orin-nano"]})
    assert found.note == (
        "the models of local-cpu run here in ONNX Runtime, not those of orin-nano"
    )


def test_classes_without_names_are_numbers(tmp_path):
    assert opened(tmp_path, teacher={"class_names": []}).name_of(2) == "2"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"targets": {}}, "below 8 bits nothing is exported"),
        ({"teacher": {"class_names": ["a"]}}, "no valid input and classes"),
        ({"targets": {"x": {"int8": {"file": "../a"}, "fp32": {"file": "../a"}}}}, "no models"),
        (
            {"input": {"shape": [2, 4, 4], "mean": [0.5] * 2, "std": [0.5] * 2}},
            "takes 2 channels; pictures have 1 (grey) or 3",
        ),
    ],
)
def test_other_manifests_are_refused(tmp_path, changes, message):
    with pytest.raises(InputError) as caught:
        opened(tmp_path, **changes)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"input": {"shape": [1, 5, 5], "mean": [0.5], "std": [0.5]}}, "of shape [1, 5, 5]"),
        (
            {"run": {"teacher": {"classes": 2}, "targets": []}, "teacher": {"class_names": []}},
            "returns logits of shape [3, 3] for 3 pictures and 2 classes",
        ),
    ],
)
def test_models_that_do_not_fit_the_manifest_are_refused(tmp_path, changes, message):
    with pytest.raises(InputError) as caught:
        opened(tmp_path, **changes).runner("int8")(PIXELS)
    assert message in str(caught.value)


def test_model_that_fails_is_refused(tmp_path):
    graph = helper.make_graph(
        [helper.make_node("Reshape", ["images", "shape"], ["logits"])],
        "fails",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", *SHAPE])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 3])],
        [numpy_helper.from_array(np.array([-1, 5]), "shape")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    found = opened(tmp_path)
    onnx.save(model, found.files["int8"])
    with pytest.raises(InputError, match="cannot be run"):
        found.runner("int8")(PIXELS)


@FUZZ
@given(st.sampled_from(["input", "run", "teacher", "targets"]), VALUES)
def test_any_manifest_is_used_or_refused_in_one_line(tmp_path_factory, key, value):
    folder = write_brightness_bundle(tmp_path_factory.mktemp("bundle"))
    manifest = json.loads((folder / "manifest.json").read_text()) | {key: value}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    succeeds_or_raises_one_line(lambda: bundle_models(folder, open_bundle(folder)).open("int8"))
