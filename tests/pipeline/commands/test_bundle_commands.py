"""The commands `validate`, `compare` and `lint`."""

import json
import shutil

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from tests.support.graphs import quantized_convolution
from tests.support.quick_run import QUICK, ROOT, write_run


class TestVerdict:
    @pytest.fixture
    def validate(self, run, same_bundle, tmp_path):
        """Validate another model with the bundle's probes; return exit code and outcome."""

        def validate_model(model):
            onnx.save(model, tmp_path / "model.onnx")
            arguments = ("validate", same_bundle, "--model", tmp_path / "model.onnx")
            code, out, _ = run(*arguments, store=tmp_path)
            return code, out.split(":")[0]

        return validate_model

    def last_layer(self, bundle):
        """Return the bundle's int8 model, its last Gemm node, and its initializers by name."""
        model = onnx.load(bundle / "graphs" / "student.int8.onnx")
        gemm = [node for node in model.graph.node if node.op_type == "Gemm"][-1]
        constants = {t.name: t for t in model.graph.initializer}
        return model, gemm, constants

    def test_good_student_passes(self, run, same_bundle, tmp_path):
        assert run("validate", same_bundle, store=tmp_path)[0] == 0

    def test_permuted_labels_fail(self, validate, same_bundle):
        model, gemm, _ = self.last_layer(same_bundle)
        order = numpy_helper.from_array(torch.arange(10).roll(1).numpy(), "order")
        model.graph.initializer.append(order)
        gemm.output[0] = "unpermuted"
        model.graph.node.append(
            onnx.helper.make_node("Gather", ["unpermuted", "order"], ["logits"], axis=1)
        )
        assert validate(model) == (2, "fail")

    def test_student_that_always_predicts_one_class_fails(self, validate, same_bundle):
        model, gemm, constants = self.last_layer(same_bundle)
        bias = numpy_helper.to_array(constants[gemm.input[2]]).copy()
        bias[4] = 1e4
        constants[gemm.input[2]].CopyFrom(numpy_helper.from_array(bias, gemm.input[2]))
        assert validate(model) == (2, "fail")

    def test_untrained_student_fails(self, run, tmp_path, quick_store):
        run_file = write_run(
            tmp_path,
            distill={"budget": {"steps": 0}},
            quantize={**QUICK["quantize"], "budget": {"steps": 0}},
        )
        code, out, _ = run("run", run_file, "--output", tmp_path / "out", store=quick_store)
        assert code == 2
        assert "fail" in out

    def test_unreadable_or_missing_model_is_refused(self, run, same_bundle, tmp_path):
        (tmp_path / "model.onnx").write_bytes(b"no graph")
        code, _, err = run(
            "validate", same_bundle, "--model", tmp_path / "model.onnx", store=tmp_path
        )
        assert code == 1
        assert "cannot be run" in err
        code, _, err = run(
            "validate", same_bundle, "--model", tmp_path / "none.onnx", store=tmp_path
        )
        assert code == 1
        assert "no such file" in err


class TestCompare:
    @pytest.fixture
    def bundles(self, same_bundle, tmp_path):
        return same_bundle, shutil.copytree(same_bundle, tmp_path / "copy")

    def test_runs_are_shown_side_by_side(self, run, bundles, tmp_path):
        code, out, _ = run("compare", *bundles, store=tmp_path)
        assert code == 0
        lines = {line.split("│")[1].strip(): line for line in out.splitlines() if "│" in line}
        assert lines["verdict"].count("pass") == 2
        assert "98" in lines["agreement with the teacher"]
        assert "All runs were judged on the same probes." in out

    def test_json_is_printed_and_the_page_written(self, run, bundles, tmp_path):
        page = tmp_path / "page.html"
        code, out, _ = run("compare", *bundles, "--json", "--html", page, store=tmp_path)
        assert code == 0
        figures = json.loads(out)
        assert [each["title"] for each in figures["runs"]] == ["same", "same (2)"]
        text = page.read_text()
        assert figures["runs"][0]["bundle"] in text
        assert text.count("<svg") == 2
        assert len(text) < 5e6

    def test_one_bundle_is_refused(self, run, same_bundle, tmp_path):
        code, _, err = run("compare", same_bundle, store=tmp_path)
        assert (code, len(err.splitlines())) == (1, 1)
        assert "give at least two to compare" in err

    def test_damaged_bundle_and_missing_folder_are_refused(self, run, bundles, tmp_path):
        page = tmp_path / "none" / "page.html"
        code, _, err = run("compare", *bundles, "--html", page, store=tmp_path)
        assert (code, len(err.splitlines())) == (1, 1)
        assert "no folder" in err
        (bundles[1] / "golden.npz").write_bytes(b"changed")
        code, _, err = run("compare", *bundles, store=tmp_path)
        assert (code, len(err.splitlines())) == (1, 1)
        assert "golden.npz does not match its digest" in err


class TestLint:
    def test_graph_that_tensorrt_accepts(self, run, tmp_path):
        graph = ROOT / "tests" / "targets" / "lint" / "modelopt_int8.onnx"
        code, out, err = run("lint", graph, store=tmp_path)
        assert code == 0, err
        assert "8 channels take as much time as 32" in out
        assert out.splitlines()[-1].endswith("modelopt_int8.onnx: 0 errors, 8 warnings")

    def test_graph_that_tensorrt_rejects(self, run, tmp_path):
        onnx.save(quantized_convolution(activation_zero=np.uint8(0)), tmp_path / "graph.onnx")
        code, out, _ = run("lint", tmp_path / "graph.onnx", store=tmp_path)
        assert code == 1
        assert "error: the zero point is not an int8 0: quantize" in out

    def test_graph_with_a_cycle(self, run, tmp_path):
        graph = quantized_convolution()
        graph.graph.node[0].input[0] = "y"
        onnx.save(graph, tmp_path / "graph.onnx")
        code, out, err = run("lint", tmp_path / "graph.onnx", store=tmp_path)
        assert (code, out) == (1, "")
        assert "malformed graph: nodes form a cycle" in err
        assert len(err.splitlines()) == 1

    @pytest.mark.parametrize("content", [b"no graph", None])
    def test_file_that_is_no_graph(self, run, tmp_path, content):
        if content is not None:
            (tmp_path / "graph.onnx").write_bytes(content)
        code, _, err = run("lint", tmp_path / "graph.onnx", store=tmp_path)
        assert code == 1
        assert "graph.onnx" in err
        assert len(err.splitlines()) == 1
