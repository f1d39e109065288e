"""`datafree-edge validate` and `compare` on bundles with correct digests and wrong contents.

A command succeeds or raises an InputError of one line.
"""

import html
import io
import json
import shutil

import numpy as np
import onnx
import pytest
import typer
from hypothesis import example, given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from rich.console import Console

from base.errors import InputError
from base.file_digest import file_digest
from pipeline.bundle.comparison import compare
from pipeline.bundle.comparison_page import write_comparison
from pipeline.bundle.opening import REQUIRED_KEYS
from pipeline.commands.bundle_commands import validate
from pipeline.releases.publishing import PublishResult, publish
from pipeline.store.store import Store
from tests.support.figures import make_manifest
from tests.support.hostile_input import (
    FUZZ,
    FUZZ_TIMEOUT,
    VALUES,
    mutated,
    sandbox,
    succeeds_or_raises_one_line,
)
from tests.support.quick_run import ROOT

pytestmark = FUZZ_TIMEOUT

COUNT, CLASSES = 12, 3

MODEL = "targets/local-cpu/model.int8.onnx"

REAL_GRAPH = (ROOT / "tests" / "targets" / "lint" / "modelopt_int8.onnx").read_bytes()


def probes():
    rng = np.random.default_rng(0)
    return {
        "pixels": rng.integers(0, 256, (COUNT, 1, 2, 2), np.uint8),
        "mean": np.zeros(1, np.float32),
        "std": np.ones(1, np.float32),
        "value_range": np.array([0, 1], np.float32),
        "teacher_logits": rng.normal(size=(COUNT, CLASSES)).astype(np.float32),
        "generator": np.arange(COUNT) % 2,
        "asked": np.arange(COUNT) % CLASSES,
    }


def packed(arrays):
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def graph(outputs=CLASSES):
    """Images (N, 1, 2, 2) -> logits."""
    weights = np.random.default_rng(1).normal(size=(4, outputs)).astype(np.float32)
    nodes = [
        helper.make_node("Flatten", ["images"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["logits"]),
    ]
    given_images = helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", 1, 2, 2])
    given_logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", outputs])
    constants = [numpy_helper.from_array(weights, "weights")]
    made = helper.make_graph(nodes, "tiny", [given_images], [given_logits], constants)
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(made, opset_imports=opset, ir_version=8).SerializeToString()


GOOD = packed(probes())


def written(folder, golden=GOOD, model=None, **changes):
    """Write a bundle whose digests are correct."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / MODEL).parent.mkdir(parents=True)
    (folder / MODEL).write_bytes(model or graph())
    (folder / "golden.npz").write_bytes(golden)
    manifest = {
        **{"name": "net", "bundle": "0" * 64, "teacher": {"fingerprint": "0" * 64}},
        **{"engines": {}, "verdict": {"outcome": "pass", "agreement": 1.0}},
        "run": {"gate": {"agreement": 0.9, "confidence": 0.95}},
        "targets": {"local-cpu": {"int8": {"file": MODEL}}},
        "files": {name: file_digest(folder / name) for name in ("golden.npz", MODEL)},
        **changes,
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def validated(bundle, model=None):
    """Validate a bundle. Return True for a verdict, None after an InputError."""

    def judged():
        with pytest.raises(typer.Exit):
            validate(bundle, model)
        return True

    return succeeds_or_raises_one_line(judged)


def test_valid_bundle_gets_a_verdict(tmp_path):
    assert validated(written(tmp_path / "bundle"))


@st.composite
def arrays(draw):
    """Probes with some arrays missing, or of another type or shape."""
    found = probes()
    for name in draw(st.lists(st.sampled_from(sorted(found)), min_size=1, max_size=2)):
        kind = draw(st.sampled_from(["u1", "f4", ">f4", "f8", "i8", "c8", "U3", "O", "?"]))
        shape = draw(st.lists(st.integers(0, 4), max_size=5))
        found[name] = np.zeros(shape, kind)
        if draw(st.booleans()):
            del found[name]
    return packed(found)


@FUZZ
@given(mutated(GOOD) | arrays() | st.binary(max_size=60))
def test_any_probes_are_handled(content):
    with sandbox() as root:
        validated(written(root, golden=content))


@FUZZ
@given(mutated(graph()) | mutated(REAL_GRAPH[:4000]) | mutated(REAL_GRAPH) | st.binary(max_size=60))
def test_any_graphs_are_handled(content):
    with sandbox() as root:
        bundle = written(root / "bundle")
        (root / "other.onnx").write_bytes(content)
        validated(bundle, root / "other.onnx")
        validated(written(root / "bundle", model=content or b"0"))


def test_graph_with_wrong_outputs_is_an_input_error(tmp_path):
    bundle = written(tmp_path / "bundle")
    words = helper.make_model(
        helper.make_graph(
            [
                helper.make_node("Cast", ["images"], ["cast"], to=TensorProto.STRING),
                helper.make_node("Flatten", ["images"], ["flat"]),
                helper.make_node("Slice", ["flat", "zero", "three", "one"], ["cut"]),
                helper.make_node("Cast", ["cut"], ["logits"], to=TensorProto.STRING),
            ],
            "words",
            [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", 1, 2, 2])],
            [helper.make_tensor_value_info("logits", TensorProto.STRING, ["n", 3])],
            [
                numpy_helper.from_array(np.array([value], np.int64), name)
                for name, value in (("zero", 0), ("one", 1), ("three", 3))
            ],
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    for content in (graph(outputs=4), words.SerializeToString()):
        (tmp_path / "other.onnx").write_bytes(content)
        with pytest.raises(InputError, match=r"other\.onnx: returns"):
            validate(bundle, tmp_path / "other.onnx")


def test_graph_with_weights_outside_its_folder_is_an_input_error(tmp_path):
    """ONNX Runtime must not open files outside the graph's folder."""
    (tmp_path / "secret").write_bytes(bytes(4 * 4 * CLASSES))
    model = onnx.load_model_from_string(graph())
    (weights,) = model.graph.initializer
    weights.ClearField("raw_data")
    weights.data_location = TensorProto.EXTERNAL
    weights.external_data.add(key="location", value="../secret")
    (folder := tmp_path / "inner").mkdir()
    (folder / "other.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(InputError, match=r"'\.\./secret', which is not in the graph's folder"):
        validate(written(tmp_path / "bundle"), folder / "other.onnx")


@FUZZ
@example("engines", {"a target": True})
@given(
    st.sampled_from([*REQUIRED_KEYS, "files", "gate", "agreement", "confidence", "int8"]), VALUES
)
def test_any_manifest_values_are_handled(name, value):
    with sandbox() as root:
        gate, target = {"agreement": 0.9, "confidence": 0.95}, {"int8": {"file": MODEL}}
        if name in gate:
            changes = {"run": {"gate": {**gate, name: value}}}
        elif name == "gate":
            changes = {"run": {"gate": value}}
        elif name == "int8":
            changes = {"targets": {"local-cpu": value, "other": target}}
        else:
            changes = {name: value}
        bundle, store = written(root / "bundle", **changes), Store(str(root / "store"))
        validated(bundle)
        succeeds_or_raises_one_line(lambda: publish(store, bundle, "0" * 64))


@pytest.mark.parametrize("value", [3, None, [], {}, "x", {"agreement": 2, "confidence": 0.95}])
def test_invalid_gate_is_an_input_error(tmp_path, value):
    with pytest.raises(InputError, match="no valid agreement"):
        validate(written(tmp_path / "bundle", run={"gate": value}), None)


def test_bundle_name_cannot_lead_out_of_the_store(tmp_path):
    bundle, store = written(tmp_path / "bundle", name="../../net"), Store(str(tmp_path / "a/b"))
    assert publish(store, written(tmp_path / "good"), "0" * 64) is PublishResult.RELEASED
    with pytest.raises(InputError, match="not a valid name"):
        publish(store, bundle, "0" * 64)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "bundle", "good"]


def test_probes_that_decompress_to_too_many_bytes_are_an_input_error(tmp_path, monkeypatch):
    monkeypatch.setattr("targets.bundle.golden.MAX_FILE_BYTES", 1_000_000)
    content = packed({**probes(), "pixels": np.zeros((20_000, 1, 10, 10), np.uint8)})
    assert len(content) < 10_000
    with pytest.raises(InputError, match="more than 1,000,000"):
        validate(written(tmp_path / "bundle", golden=content), None)


COMPARED = {
    **make_manifest(),
    **{"files": {"golden.npz": "b" * 64}, "run": {"seed": 0}},
    "hops": {
        form: {"agreement": 0.9, "low": 0.8, "high": 1.0}
        for form in ("float", "fake-quantized", "exported")
    },
}


@FUZZ
@given(mutated(json.dumps(COMPARED).encode()))
def test_any_manifests_are_compared_or_refused(content):
    def compared():
        try:
            document = json.loads(content)
        except ValueError:
            return
        # `open_bundle` checks these.
        if not isinstance(document, dict) or not isinstance(document.get("name"), str):
            return
        comparison = compare([document, COMPARED])
        Console(file=io.StringIO()).print(comparison.table())
        json.dumps(comparison.as_json())

    succeeds_or_raises_one_line(compared)


@pytest.mark.parametrize("name", ["$x_{$", "<script>alert(1)</script>", "[b]x"])
def test_name_of_a_run_is_shown_as_it_is(tmp_path, name):
    comparison = compare([{**COMPARED, "name": name}, COMPARED])
    write_comparison(tmp_path / "page.html", comparison)
    page = (tmp_path / "page.html").read_text()
    assert "<script" not in page
    assert html.escape(name) in page
    console = Console(file=io.StringIO(), width=500)
    console.print(comparison.table())
    assert name in console.file.getvalue()
