"""The command line as a user meets it: a process, its last line, its exit code."""

import json
import os
import pickle
import signal
import subprocess
import sys
import time

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from pipeline.releases.releases import history
from pipeline.store.store import Store
from tests.support.graphs import quantized_convolution
from tests.support.quick_run import EXAMPLE, QUICK, ROOT, write_run
from tests.support.releases import bundle, served


def command(*arguments, store):
    return subprocess.Popen(
        [sys.executable, "-m", "pipeline.cli", *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "DATAFREE_EDGE_STORE": str(store)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A job in the background inherits a SIGINT that is ignored; a user's terminal has it not.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def run(*arguments, store):
    process = command(*arguments, store=store)
    out, err = process.communicate(timeout=600)
    return process.returncode, out, err


def refused(folder, *arguments):
    """The one line and nothing half-written."""
    output = folder / "out"
    code, out, err = run(*arguments, "--output", output, store=folder / "store")
    assert code == 1, err
    lines = [line for line in err.splitlines() if line.startswith("datafree-edge:")]
    assert len(lines) == 1, err
    assert "Traceback" not in err + out
    assert not output.exists()
    assert not list(folder.rglob("*.part"))
    return lines[0]


def teacher(**changes):
    return {**QUICK["teacher"], **changes}


def with_weights(folder, content):
    path = folder / "weights.pt"
    path.write_bytes(content)
    return write_run(folder, teacher=teacher(weights=str(path)))


class TestBadInput:
    def test_missing_run_file(self, tmp_path):
        assert "none.yaml" in refused(tmp_path, "run", tmp_path / "none.yaml")

    def test_missing_weights(self, tmp_path):
        run_file = write_run(tmp_path, teacher=teacher(weights="none.safetensors"))
        assert "none.safetensors" in refused(tmp_path, "run", run_file)

    def test_truncated_weights(self, tmp_path):
        content = (EXAMPLE / "teacher.safetensors").read_bytes()[:5000]
        (tmp_path / "t.safetensors").write_bytes(content)
        run_file = write_run(tmp_path, teacher=teacher(weights="t.safetensors"))
        assert "damaged" in refused(tmp_path, "run", run_file)

    def test_a_pickle_that_wants_to_run_code(self, tmp_path):
        marker = tmp_path / "ran"

        class Attack:
            def __reduce__(self):
                return (os.mkdir, (str(marker),))

        line = refused(tmp_path, "run", with_weights(tmp_path, pickle.dumps(Attack())))
        assert "run code" in line
        assert not marker.exists()

    def test_weights_of_another_architecture(self, tmp_path):
        run_file = write_run(tmp_path, teacher=teacher(architecture="lenet5-half"))
        assert "not those of lenet5-half" in refused(tmp_path, "run", run_file)

    def test_wrong_input_shape(self, tmp_path):
        section = {"shape": [3, 32, 32], "mean": [0.5] * 3, "std": [0.5] * 3}
        assert "another shape" in refused(tmp_path, "run", write_run(tmp_path, input=section))

    def test_unknown_key(self, tmp_path):
        line = refused(tmp_path, "run", write_run(tmp_path, gatte={}))
        assert "'gatte'" in line
        assert "'gate'" in line

    def test_unknown_recipe(self, tmp_path):
        line = refused(tmp_path, "run", write_run(tmp_path, distill={"recipe": "hause"}))
        assert "'house'" in line

    def test_a_recipe_that_needs_batch_norm(self, tmp_path):
        line = refused(tmp_path, "check", write_run(tmp_path, distill={"recipe": "ta-dfkd"}))
        assert "needs batch norm" in line
        assert "lenet5 has none" in line

    def test_a_recipe_that_compares_attention_maps_across_families(self, tmp_path):
        run_file = write_run(
            tmp_path, distill={"recipe": "zskt"}, student={"architecture": "resnet20"}
        )
        assert "of one family of architectures" in refused(tmp_path, "check", run_file)

    def test_an_override_that_makes_no_sense(self, tmp_path):
        distill = {"recipe": "dafl", "overrides": {"generator_steps": 0}}
        assert "would never learn" in refused(
            tmp_path, "check", write_run(tmp_path, distill=distill)
        )

    def test_a_recipe_without_a_generator_cannot_attack_the_quantized_student(self, tmp_path):
        line = refused(tmp_path, "check", write_run(tmp_path, quantize={"recipe": "zskd"}))
        assert "house-quantize" in line

    def test_unknown_target(self, tmp_path):
        line = refused(tmp_path, "run", write_run(tmp_path, targets=["local-cpus"]))
        assert "'local-cpu'" in line

    def test_unwritable_output(self, tmp_path):
        run_file = write_run(tmp_path)
        code, _, err = run("run", run_file, "--output", "/proc/x/y", store=tmp_path / "store")
        assert code == 1
        assert "/proc/x/y: cannot be written" in err
        assert "distill" not in err, "refused before any work is done"

    def test_output_that_is_somebody_elses(self, tmp_path):
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine" / "thesis.txt").write_text("x")
        arguments = ("run", write_run(tmp_path), "--output", tmp_path / "mine")
        code, _, err = run(*arguments, store=tmp_path / "store")
        assert code == 1
        assert "no bundle" in err
        assert (tmp_path / "mine" / "thesis.txt").exists()

    def test_a_wrong_command_line_is_not_mistaken_for_a_verdict(self, tmp_path):
        for arguments in (("run",), ("rnu", "x"), ("run", "x", "--outputt", "y")):
            code, _, err = run(*arguments, store=tmp_path)
            assert code == 64, err

    def test_validate_on_what_is_no_bundle(self, tmp_path):
        code, _, err = run("validate", tmp_path, store=tmp_path)
        assert code == 1
        assert "no bundle" in err


def test_check_says_a_run_file_is_fine_without_running_it(tmp_path):
    run_file = write_run(tmp_path)
    code, out, _ = run("check", run_file, "--output", tmp_path / "out", store=tmp_path)
    assert code == 0
    assert "fine" in out


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"teacher": teacher(weights="none.pt")}, "no such file"),
        ({"teacher": teacher(architecture="lenet6")}, "did you mean 'lenet5'"),
        ({"student": {"architecture": "mobilnet_v2"}}, "did you mean 'mobilenet_v2'"),
    ],
)
def test_check_finds_what_a_run_would_stumble_over(tmp_path, changes, says):
    assert says in refused(tmp_path, "check", write_run(tmp_path, **changes))


COMMANDS = ["run", "check", "validate", "recipes", "service", "fetch", "roll-back", "collect"]


@pytest.mark.parametrize("name", [*COMMANDS, "sign", "verify", "lint"])
def test_help_shows_an_example(name, tmp_path):
    code, out, _ = run(name, "--help", store=tmp_path)
    assert code == 0
    assert f"datafree-edge {name}" in out.split("Example")[1]


def test_recipes_are_listed_and_shown(tmp_path):
    code, listed, _ = run("recipes", store=tmp_path)
    assert code == 0
    assert "pre-dfkd" in listed
    code, shown, _ = run("recipes", "pre-dfkd", store=tmp_path)
    assert code == 0
    assert "Binici" in shown
    assert "vae" in shown
    assert "student_lr" in shown
    code, _, err = run("recipes", "pre-dfk", store=tmp_path)
    assert code == 1
    assert "'pre-dfkd'" in err


@pytest.mark.parametrize(
    ("recipe", "flag", "overrides"),
    # The second keeps no generator: the quantized student's is then taught afresh.
    [("dafl", True, {}), ("zskd", False, {"inner_steps": 3})],
)
def test_another_recipe_is_one_flag_or_one_line_away(recipe, flag, overrides, tmp_path):
    distill = {"budget": {"steps": 2}, "overrides": overrides}
    run_file = write_run(tmp_path, distill=distill if flag else {**distill, "recipe": recipe})
    option = ("--recipe", recipe) if flag else ()
    arguments = ("run", run_file, *option, "--output", tmp_path / "bundle")
    code, _, err = run(*arguments, store=tmp_path / "store")
    assert code in (0, 2, 3), err
    manifest = json.loads((tmp_path / "bundle" / "manifest.json").read_text())
    assert manifest["run"]["distill"]["recipe"] == recipe
    assert manifest["health"] == []


class TestTheVerdictCanSayNo:
    def judge(self, bundle, model, folder):
        onnx.save(model, folder / "model.onnx")
        code, out, _ = run("validate", bundle, "--model", folder / "model.onnx", store=folder)
        return code, out.split(":")[0]

    def head(self, bundle):
        model = onnx.load(bundle / "graphs" / "student.int8.onnx")
        gemm = [node for node in model.graph.node if node.op_type == "Gemm"][-1]
        constants = {t.name: t for t in model.graph.initializer}
        return model, gemm, constants

    def test_a_good_student_passes(self, same_bundle, tmp_path):
        assert run("validate", same_bundle, store=tmp_path)[0] == 0

    def test_permuted_labels_fail(self, same_bundle, tmp_path):
        model, gemm, _ = self.head(same_bundle)
        order = numpy_helper.from_array(torch.arange(10).roll(1).numpy(), "order")
        model.graph.initializer.append(order)
        gemm.output[0] = "straight"
        model.graph.node.append(
            onnx.helper.make_node("Gather", ["straight", "order"], ["logits"], axis=1)
        )
        assert self.judge(same_bundle, model, tmp_path) == (2, "fail")

    def test_a_student_stuck_on_one_class_fails(self, same_bundle, tmp_path):
        model, gemm, constants = self.head(same_bundle)
        bias = numpy_helper.to_array(constants[gemm.input[2]]).copy()
        bias[4] = 1e4
        constants[gemm.input[2]].CopyFrom(numpy_helper.from_array(bias, gemm.input[2]))
        assert self.judge(same_bundle, model, tmp_path) == (2, "fail")

    def test_an_untrained_student_fails(self, tmp_path, quick_store):
        run_file = write_run(
            tmp_path,
            distill={"budget": {"steps": 0}},
            quantize={**QUICK["quantize"], "budget": {"steps": 0}},
        )
        code, out, _ = run("run", run_file, "--output", tmp_path / "out", store=quick_store)
        assert code == 2
        assert "fail" in out

    def test_a_model_that_takes_other_images_is_refused(self, same_bundle, tmp_path):
        (tmp_path / "model.onnx").write_bytes(b"rubbish")
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


@pytest.mark.parametrize("at", ["distill", "quantize", "probe generator 1"])
def test_interrupted_and_run_again(tmp_path, at):
    arguments = ("run", write_run(tmp_path), "--output", tmp_path / "out")
    store = tmp_path / "store"
    process = command(*arguments, store=store)
    for line in process.stderr:
        if line.startswith(at):
            break
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted" in err
    assert "Traceback" not in err
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.rglob("*.part"))
    code, _, err = run(*arguments, store=store)
    assert code == 2, err  # the quick student is a poor one
    assert "teacher: reused" in err
    assert (tmp_path / "out" / "manifest.json").exists()


def test_run_again_finds_everything_done(tmp_path, quick_store):
    run_file = write_run(tmp_path)
    for name in ("first", "second"):
        code, _, err = run("run", run_file, "--output", tmp_path / name, store=quick_store)
        assert code == 2
    assert err.count(": reused") == 7


def test_what_is_in_service_is_listed_fetched_rolled_back_and_collected(tmp_path):
    store = tmp_path / "store"
    for letter in "ab":
        assert served(Store(str(store)), bundle(tmp_path / letter, letter))
    newest, oldest = (r.bundle[:12] for r in reversed(history(Store(str(store)), "net")))
    code, out, _ = run("service", store=store)
    assert (code, newest in out, oldest in out) == (0, True, False)
    code, out, _ = run("service", "net", store=store)
    assert (code, newest in out, oldest in out) == (0, True, True)
    code, out, _ = run("roll-back", "net", store=store)
    assert out == f"net: bundle {oldest} is in service again\n"
    code, out, _ = run("fetch", "net", "--output", tmp_path / "out", store=store)
    assert out == f"net: bundle {oldest} in {tmp_path / 'out'}\n"
    code, out, _ = run("collect", "--dry-run", store=store)
    assert out.startswith("0 steps, 0 files, 0 checkpoints, 0.0 MB, could go")
    code, _, err = run("roll-back", "net", store=store)
    assert (code, len(err.splitlines())) == (1, 1)
    assert "none was before it" in err


class TestLint:
    def test_a_graph_that_tensorrt_takes(self, tmp_path):
        graph = ROOT / "tests" / "targets" / "lint" / "modelopt_int8.onnx"
        code, out, err = run("lint", graph, store=tmp_path)
        assert code == 0, err
        assert "8 channels cost as much as 32" in out
        assert out.splitlines()[-1].endswith("modelopt_int8.onnx: 0 errors, 8 warnings")

    def test_one_that_it_refuses(self, tmp_path):
        onnx.save(quantized_convolution(activation_zero=np.uint8(0)), tmp_path / "graph.onnx")
        code, out, _ = run("lint", tmp_path / "graph.onnx", store=tmp_path)
        assert code == 1
        assert 'error: quantize: against "the zero point is int8 and 0"' in out

    @pytest.mark.parametrize("content", [b"no graph", None])
    def test_what_is_no_graph(self, tmp_path, content):
        if content is not None:
            (tmp_path / "graph.onnx").write_bytes(content)
        code, _, err = run("lint", tmp_path / "graph.onnx", store=tmp_path)
        assert code == 1
        assert "graph.onnx" in err
        assert len(err.splitlines()) == 1
