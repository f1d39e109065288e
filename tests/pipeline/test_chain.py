import json
import shutil
from contextlib import contextmanager

import numpy as np
import onnx
import pytest
from safetensors.torch import load_file, save_file

from base.errors import InputError
from pipeline.bundle.manifest import worst_verdict
from pipeline.bundle.opening import open_bundle
from pipeline.bundle.revalidation import revalidate
from pipeline.chain import chain, run_chain, run_step
from pipeline.config.run_file import read_run_file
from pipeline.config.weight_range import half_range
from pipeline.run import check_run, execute
from pipeline.store.store import Store
from targets.bundle.golden import load_golden
from targets.bundle.verdict import Outcome
from targets.catalogue.catalogue import find_target
from targets.catalogue.instruction_sets import this_cpu
from targets.cpu.session import open_session, predict
from targets.graph.topology import Graph
from targets.lint.linter import errors, lint
from tests.support.quick_run import QUICK, write_run

FORMS = ("fp32", "fp16", "int8", "int8-float-weights", "int8-fp16", "int8-cpu")


class Silent:
    def __init__(self):
        self.lines = []

    def say(self, line):
        self.lines.append(line)

    def phase(self, name, done, total, losses):
        pass


def steps_run(reporter, config):
    found = {line.split(":")[0] for line in reporter.lines if line.endswith(": reused")}
    return [step.label for step in chain(config) if step.label not in found]


@pytest.fixture(scope="module")
def finished(tmp_path_factory, quick_store):
    folder = tmp_path_factory.mktemp("run")
    config = read_run_file(write_run(folder))
    manifest = execute(config, Store(str(quick_store)), folder / "bundle", Silent())
    return config, manifest, folder / "bundle"


def test_bundle_has_the_expected_files(finished):
    config, manifest, bundle = finished
    assert open_bundle(bundle) == manifest
    assert set(manifest["files"]) == {
        *(f"graphs/student.{form}.onnx" for form in FORMS),
        "targets/local-cpu/model.fp32.onnx",
        "targets/local-cpu/model.int8.onnx",
        "golden.npz",
        "targets/local-cpu/verdict.json",
    }
    golden = load_golden(bundle / "golden.npz")
    assert golden.pixels.shape == (2000, 1, 32, 32)
    assert golden.pixels.dtype == np.uint8
    assert sorted(np.unique(golden.generator)) == [0, 1]
    target = manifest["targets"]["local-cpu"]
    assert target["int8"]["milliseconds"] > 0
    assert target["fp32"]["milliseconds"] > 0
    assert target["int8"]["bytes"] < target["fp32"]["bytes"]
    assert "<img" in (bundle / "report.html").read_text()
    assert "weights" not in manifest["run"]["teacher"], "a path is no part of the manifest"
    assert manifest["name"] == config.name
    assert manifest["warnings"] == []
    assert manifest["verdict"]["probes"]["distinct"] == 2000
    assert f"; {manifest['verdict']['because']}." in (bundle / "report.html").read_text()


def test_private_run_leaves_out_probes_and_their_pictures(finished, quick_store, tmp_path):
    _, open_manifest, _ = finished
    config = read_run_file(write_run(tmp_path, private=True))
    manifest = execute(config, Store(str(quick_store)), tmp_path / "bundle", Silent())
    assert set(open_manifest["files"]) - set(manifest["files"]) == {"golden.npz"}
    assert manifest["verdict"] == open_manifest["verdict"]
    page = (tmp_path / "bundle" / "report.html").read_text()
    assert "Agreement by the teacher" in page
    assert "<img" not in page
    with pytest.raises(InputError, match="private: true"):
        revalidate(tmp_path / "bundle", manifest, None)


def test_changed_report_is_an_input_error(finished, tmp_path):
    shutil.copytree(finished[2], tmp_path / "bundle")
    report = tmp_path / "bundle" / "report.html"
    report.write_text(report.read_text().replace("fail", "pass"))
    with pytest.raises(InputError, match=r"report\.html does not match its digest"):
        open_bundle(tmp_path / "bundle")


def test_exported_forms_agree(finished):
    """All forms mostly agree; the forms of one precision nearly always."""
    _, _, bundle = finished
    golden = load_golden(bundle / "golden.npz")
    logits = {}
    for form in FORMS:
        path = bundle / f"graphs/student.{form}.onnx"
        assert not errors(lint(path)), form
        logits[form] = predict(open_session(path, optimized=False), golden.images[:500])
    answers = {form: values.argmax(1) for form, values in logits.items()}
    assert (answers["fp32"] == answers["int8"]).mean() > 0.9
    assert not np.array_equal(logits["fp32"], logits["int8"])
    np.testing.assert_array_equal(answers["int8"], answers["int8-float-weights"])
    np.testing.assert_array_equal(answers["int8"], answers["int8-cpu"])  # no residual addition
    for whole, half in (("fp32", "fp16"), ("int8", "int8-fp16")):
        assert (answers[whole] == answers[half]).mean() > 0.98


def test_compiled_models_agree_with_their_graphs(finished):
    _, manifest, _ = finished
    target = manifest["targets"]["local-cpu"]
    assert target["int8"]["parity"] >= 0.999
    assert target["fp32"]["parity"] >= 0.999
    assert target["int8"]["integer_layers"] >= 3  # of 5; linear layers without a ReLU stay float


def test_graph_metadata_has_its_origin(finished):
    bundle = finished[2]
    properties = {
        p.key: p.value for p in onnx.load(bundle / "graphs/student.int8.onnx").metadata_props
    }
    assert json.loads(properties["mean"]) == [0.1307]
    assert json.loads(properties["class_names"]) == []
    assert len(properties["teacher"]) == len(properties["quantized"]) == 64
    assert properties["producer"].startswith("datafree-edge ")


def test_export_with_preprocessing_and_fixed_batch(finished, quick_store, tmp_path):
    """The oldest opset, a batch of twelve, and the normalisation inside the graph."""
    export = {"opset": 13, "batch": 12, "preprocessing": True}
    config = read_run_file(write_run(tmp_path, export=export))
    manifest = execute(config, Store(str(quick_store)), tmp_path / "bundle", Silent())
    graph = onnx.load(tmp_path / "bundle/graphs/student.int8.onnx")
    taken = graph.graph.input[0].type.tensor_type
    assert taken.elem_type == onnx.TensorProto.UINT8
    assert [d.dim_value for d in taken.shape.dim] == [12, 1, 32, 32]
    assert graph.opset_import[0].version == 13
    assert manifest["targets"]["local-cpu"]["batch"] == 12
    _, usual, _ = finished
    assert manifest["verdict"]["agreed"] == pytest.approx(usual["verdict"]["agreed"], abs=6)


def test_barely_trained_student_fails(finished):
    _, manifest, _ = finished
    assert manifest["verdict"]["outcome"] == Outcome.FAIL
    assert manifest["targets"]["local-cpu"]["recommended"] is None


def test_quantized_teacher_passes(same_bundle):
    manifest = open_bundle(same_bundle)
    assert manifest["verdict"]["outcome"] == Outcome.PASS
    assert manifest["targets"]["local-cpu"]["recommended"] in ("int8", "fp32")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({"name": "another"}, []),
        ({"gate": {**QUICK["gate"], "agreement": 0.5}}, ["validate local-cpu"]),
        (
            {"quantize": {**QUICK["quantize"], "budget": {"steps": 5}}},
            ["quantize", "export", "hops", "compile local-cpu", "validate local-cpu"],
        ),
    ],
)
def test_only_changed_steps_are_run_again(finished, quick_store, tmp_path, changes, expected):
    config = read_run_file(write_run(tmp_path, **changes))
    reporter = Silent()
    records = run_chain(config, Store(str(quick_store)), reporter)
    assert steps_run(reporter, config) == expected
    assert {name for name, r in records.items() if not r.notes["reused"]} == set(expected)


def test_further_targets_run_only_their_own_steps(finished, quick_store, tmp_path):
    """Targets other than this machine are not timed."""
    elsewhere = ["arm-dotprod", "x86-avx2" if this_cpu().int8 == "avx2" else "x86-vnni"]
    targets = ["local-cpu", *elsewhere]
    config = read_run_file(write_run(tmp_path, targets=targets))
    reporter = Silent()
    manifest = execute(config, Store(str(quick_store)), tmp_path / "bundle", reporter)
    done = steps_run(reporter, config)
    assert done == [f"{step} {t}" for t in elsewhere for step in ("compile", "validate")]
    entries = manifest["targets"]
    assert list(entries) == targets
    arm = entries["arm-dotprod"]
    assert arm["int8"]["milliseconds"] is None
    assert arm["int8"]["agreement"] == pytest.approx(
        entries["local-cpu"]["int8"]["agreement"], abs=0.005
    )
    assert arm["machine"]["int8"] == "dotprod"
    for target, zero in (("arm-dotprod", np.int8), ("x86-vnni", np.uint8)):
        if target in targets and not find_target(target).matches_this_machine:
            graph = Graph(onnx.load(tmp_path / f"bundle/targets/{target}/model.int8.onnx"))
            first = next(n for n in graph.nodes if n.op_type == "QuantizeLinear")
            assert graph.constants[first.input[2]].dtype == zero
    assert "not measured" in (tmp_path / "bundle/report.html").read_text()


def test_verdict_of_the_run_is_that_of_its_worst_target():
    def verdict(outcome, agreement):
        return {"int8": {"outcome": outcome, "agreement": agreement}}

    verdicts = {"a": verdict("pass", 0.91), "b": verdict("inconclusive", 0.95)}
    assert worst_verdict(verdicts)["target"] == "b"
    verdicts["c"] = verdict("pass", 0.5)
    assert worst_verdict(verdicts)["target"] == "b"
    verdicts["d"] = verdict("fail", 0.99)
    assert worst_verdict(verdicts)["target"] == "d"
    assert worst_verdict({"a": verdict("pass", 0.97), "b": verdict("pass", 0.95)})["target"] == "b"


def test_full_range_weights_are_an_input_error_for_saturating_kernels(tmp_path):
    run_file = write_run(
        tmp_path,
        targets=["x86-vnni", "x86-avx2"],
        quantize={**QUICK["quantize"], "weight_range": "full"},
    )
    with pytest.raises(InputError, match="full does not suit x86-avx2"):
        check_run(read_run_file(run_file), tmp_path / "bundle")


@pytest.mark.parametrize(
    ("targets", "half"), [(["x86-vnni", "arm"], False), (["x86-vnni", "x86-avx2"], True)]
)
def test_weight_range_follows_the_targets_and_is_in_the_settings(tmp_path, targets, half):
    config = read_run_file(write_run(tmp_path, targets=targets))
    assert half_range(config) == half
    step = next(step for step in chain(config) if step.name == "quantize")
    assert step.settings(config, "")["weight_range"] == ("half" if half else "full")


@pytest.mark.slow
def test_bundle_digest_is_the_same_in_another_store_and_folder(finished, tmp_path):
    """Paths, times and latencies are excluded from the digest."""
    config, manifest, _ = finished
    again = execute(config, Store(str(tmp_path / "store")), tmp_path / "bundle", Silent())
    assert again["bundle"] == manifest["bundle"]
    assert again["created"] >= manifest["created"]


def test_settings_contain_the_digest_of_a_factory(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text("make = 1")
    monkeypatch.syspath_prepend(tmp_path)
    teacher = {**QUICK["teacher"], "architecture": "torchvision.models:resnet18"}
    changes = {"teacher": teacher, "student": {"architecture": "mine:make"}}
    config = read_run_file(write_run(tmp_path, **changes))
    step = next(s for s in chain(config) if s.name == "distill")
    before = step.settings(config, "")
    assert "torchvision" in before["teacher"]["definition"]
    (tmp_path / "mine.py").write_text("make = 2")
    assert step.settings(config, "") != before


def test_concurrent_runs_of_one_step_do_not_share_files(finished, tmp_path):
    """The second run of the step finishes while the first is still running."""
    config, _, _ = finished
    store, step = Store(str(tmp_path)), chain(config)[0]

    class RunsStepAgain(Silent):
        def say(self, line):
            if not self.lines:
                self.lines.append(line)
                run_step(step, config, {}, store, Silent())

    record = run_step(step, config, {}, store, RunsStepAgain())
    assert store.get(record.artifacts["teacher"], tmp_path).exists()


def test_teacher_replaced_during_the_run_is_an_input_error(tmp_path):
    """The file is replaced between the computation of the key and the step."""
    own = tmp_path / "teacher.safetensors"
    shutil.copyfile(QUICK["teacher"]["weights"], own)
    state = load_file(own)
    config = read_run_file(write_run(tmp_path, teacher={**QUICK["teacher"], "weights": str(own)}))
    store, step = Store(str(tmp_path / "store")), chain(config)[0]

    @contextmanager
    def replaced(*_):
        save_file({name: 2 * tensor for name, tensor in state.items()}, own)
        yield
        save_file(state, own)

    with pytest.raises(InputError, match=r"teacher\.safetensors: was replaced during"):
        run_step(step, config, {}, store, Silent(), replaced)
    save_file(state, own)
    record = run_step(step, config, {}, store, Silent())
    kept = load_file(store.get(record.artifacts["teacher"], tmp_path / "store"))
    assert all(kept[name].equal(tensor) for name, tensor in state.items())


class TestDamagedBundles:
    @pytest.fixture
    def bundle(self, finished, tmp_path):
        import shutil

        return shutil.copytree(finished[2], tmp_path / "bundle")

    def test_changed_file(self, bundle):
        (bundle / "targets/local-cpu/verdict.json").write_text("{}")
        with pytest.raises(InputError, match=r"verdict\.json does not match its digest"):
            open_bundle(bundle)

    def test_missing_file(self, bundle):
        (bundle / "golden.npz").unlink()
        with pytest.raises(InputError, match="missing"):
            open_bundle(bundle)

    def test_file_outside(self, bundle):
        manifest = json.loads((bundle / "manifest.json").read_text())
        manifest["files"]["../../secret"] = "0" * 64
        (bundle / "manifest.json").write_text(json.dumps(manifest))
        with pytest.raises(InputError, match="outside"):
            open_bundle(bundle)

    @pytest.mark.parametrize("content", ["", "[]", "{}", "{"])
    def test_damaged_manifest(self, bundle, content):
        (bundle / "manifest.json").write_text(content)
        with pytest.raises(InputError, match="not a bundle"):
            open_bundle(bundle)
