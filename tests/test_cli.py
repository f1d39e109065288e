"""The command line as a user meets it: its output, its last line, its exit code.

Most commands run in this process. Real processes are used for what depends on one: signals, a
closed pipe, modules that are not installed.
"""

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

from pipeline.cli import main
from pipeline.releases.release_log import release_history
from pipeline.store.store import Store
from tests.support.graphs import quantized_convolution
from tests.support.quick_run import EXAMPLE, QUICK, ROOT, write_run
from tests.support.releases import make_bundle, publish_bundle


@pytest.fixture
def run(monkeypatch, capfd):
    """Run a command in this process; return its exit code, standard output and error."""

    def run_command(*arguments, store):
        monkeypatch.setenv("DATAFREE_EDGE_STORE", str(store))
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(list(map(str, arguments)))
        out, err = capfd.readouterr()
        return ended.value.code, out, err

    return run_command


@pytest.fixture
def refusal(run, tmp_path):
    """Run a command that must fail; return its one line after checking that nothing is left."""

    def run_refused(*arguments):
        output = tmp_path / "out"
        code, out, err = run(*arguments, "--output", output, store=tmp_path / "store")
        assert code == 1, err
        lines = [line for line in err.splitlines() if line.startswith("datafree-edge:")]
        assert len(lines) == 1, err
        assert "Traceback" not in err + out
        assert not output.exists()
        assert not list(tmp_path.rglob("*.part"))
        return lines[0]

    return run_refused


def start(*arguments, store, prelude=""):
    """Start a command in a process of its own, after running `prelude` there."""
    code = f"{prelude}\nfrom pipeline.cli import main\nmain()"
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "DATAFREE_EDGE_STORE": str(store)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A background job inherits an ignored SIGINT; a command in a terminal does not.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def run_process(*arguments, store, prelude=""):
    """Run a command in a process of its own; return its exit code, standard output and error."""
    process = start(*arguments, store=store, prelude=prelude)
    out, err = process.communicate(timeout=600)
    return process.returncode, out, err


def teacher(**changes):
    return {**QUICK["teacher"], **changes}


def with_weights(folder, content):
    path = folder / "weights.pt"
    path.write_bytes(content)
    return write_run(folder, teacher=teacher(weights=str(path)))


class TestRefusals:
    def test_missing_run_file(self, refusal, tmp_path):
        assert "none.yaml" in refusal("run", tmp_path / "none.yaml")

    def test_missing_weights(self, refusal, tmp_path):
        run_file = write_run(tmp_path, teacher=teacher(weights="none.safetensors"))
        assert "none.safetensors" in refusal("run", run_file)

    def test_truncated_weights(self, refusal, tmp_path):
        content = (EXAMPLE / "teacher.safetensors").read_bytes()[:5000]
        (tmp_path / "t.safetensors").write_bytes(content)
        run_file = write_run(tmp_path, teacher=teacher(weights="t.safetensors"))
        assert "damaged" in refusal("run", run_file)

    def test_pickle_that_runs_code(self, refusal, tmp_path):
        marker = tmp_path / "ran"

        class Attack:
            def __reduce__(self):
                return (os.mkdir, (str(marker),))

        line = refusal("run", with_weights(tmp_path, pickle.dumps(Attack())))
        assert "run code" in line
        assert not marker.exists()

    def test_weights_of_another_architecture(self, refusal, tmp_path):
        run_file = write_run(tmp_path, teacher=teacher(architecture="lenet5-half"))
        assert "not those of lenet5-half" in refusal("run", run_file)

    def test_wrong_input_shape(self, refusal, tmp_path):
        section = {"shape": [3, 32, 32], "mean": [0.5] * 3, "std": [0.5] * 3}
        assert "another shape" in refusal("run", write_run(tmp_path, input=section))

    def test_unknown_key(self, refusal, tmp_path):
        line = refusal("run", write_run(tmp_path, gatte={}))
        assert "'gatte'" in line
        assert "'gate'" in line

    def test_unknown_recipe(self, refusal, tmp_path):
        line = refusal("run", write_run(tmp_path, distill={"recipe": "hause"}))
        assert "'house'" in line

    def test_recipe_that_needs_batch_norm(self, refusal, tmp_path):
        line = refusal("check", write_run(tmp_path, distill={"recipe": "ta-dfkd"}))
        assert "needs batch norm" in line
        assert "lenet5 has none" in line

    def test_recipe_that_compares_attention_maps_across_families(self, refusal, tmp_path):
        run_file = write_run(
            tmp_path, distill={"recipe": "zskt"}, student={"architecture": "resnet20"}
        )
        assert "of one family of architectures" in refusal("check", run_file)

    def test_override_without_training(self, refusal, tmp_path):
        distill = {"recipe": "dafl", "overrides": {"generator_steps": 0}}
        assert "would never make or learn anything" in refusal(
            "check", write_run(tmp_path, distill=distill)
        )

    def test_quantize_recipe_without_generator(self, refusal, tmp_path):
        line = refusal("check", write_run(tmp_path, quantize={"recipe": "zskd"}))
        assert "house-quantize" in line

    def test_unknown_target(self, refusal, tmp_path):
        line = refusal("run", write_run(tmp_path, targets=["local-cpus"]))
        assert "'local-cpu'" in line

    def test_unwritable_output(self, run, tmp_path):
        run_file = write_run(tmp_path)
        code, _, err = run("run", run_file, "--output", "/proc/x/y", store=tmp_path / "store")
        assert code == 1
        assert "/proc/x/y: cannot be written" in err
        assert "distill" not in err, "the run must be refused before any step"

    def test_output_folder_with_other_files(self, run, tmp_path):
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine" / "thesis.txt").write_text("x")
        arguments = ("run", write_run(tmp_path), "--output", tmp_path / "mine")
        code, _, err = run(*arguments, store=tmp_path / "store")
        assert code == 1
        assert "no bundle" in err
        assert (tmp_path / "mine" / "thesis.txt").exists()

    def test_validate_of_folder_without_bundle(self, run, tmp_path):
        code, _, err = run("validate", tmp_path, store=tmp_path)
        assert code == 1
        assert "no bundle" in err


@pytest.mark.parametrize("arguments", [("run",), ("rnu", "x"), ("run", "x", "--outputt", "y")])
def test_wrong_command_line_has_exit_code_64(run, tmp_path, arguments):
    code, _, err = run(*arguments, store=tmp_path)
    assert code == 64, err


@pytest.mark.parametrize("arguments", [(), ("net",), ("--store", "x")])
def test_former_name_of_releases_is_refused_with_the_new_one(run, tmp_path, arguments):
    code, _, err = run("service", *arguments, store=tmp_path)
    assert code == 64
    assert "service is now called releases" in err
    assert len(err.splitlines()) == 1


def test_check_accepts_run_file_without_running_it(run, tmp_path):
    run_file = write_run(tmp_path)
    code, out, _ = run("check", run_file, "--output", tmp_path / "out", store=tmp_path)
    assert code == 0
    assert "no problems found" in out
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"teacher": teacher(weights="none.pt")}, "no such file"),
        ({"teacher": teacher(architecture="lenet6")}, "did you mean 'lenet5'"),
        ({"student": {"architecture": "mobilnet_v2"}}, "did you mean 'mobilenet_v2'"),
    ],
)
def test_check_refuses_what_a_run_would_fail_on(refusal, tmp_path, changes, reason):
    assert reason in refusal("check", write_run(tmp_path, **changes))


COMMANDS = ["run", "check", "validate", "recipes", "releases", "fetch", "roll-back", "collect"]


@pytest.mark.parametrize("name", [*COMMANDS, "sign", "verify", "lint"])
def test_help_shows_an_example(run, name, tmp_path):
    code, out, _ = run(name, "--help", store=tmp_path)
    assert code == 0
    assert f"datafree-edge {name}" in out.split("Example")[1]


def test_help_lists_every_command_but_the_former_one(run, tmp_path):
    code, out, _ = run("--help", store=tmp_path)
    assert code == 0
    assert all(f" {name} " in out for name in [*COMMANDS, "sign", "verify", "lint"])
    assert " service " not in out


def test_recipes_are_listed_and_shown(run, tmp_path):
    code, listed, _ = run("recipes", store=tmp_path)
    assert code == 0
    assert "pre-dfkd" in listed
    code, shown, _ = run("recipes", "pre-dfkd", store=tmp_path)
    assert code == 0
    assert "Binici" in shown
    assert "vae" in shown.lower()
    assert "student_lr" in shown
    code, _, err = run("recipes", "pre-dfk", store=tmp_path)
    assert code == 1
    assert "'pre-dfkd'" in err


@pytest.mark.parametrize(
    ("recipe", "as_option", "overrides"),
    # zskd keeps no generator, so another one is trained for the quantized student.
    [("dafl", True, {}), ("zskd", False, {"inner_steps": 3})],
)
def test_recipe_is_set_by_option_or_by_run_file(
    run, recipe, as_option, overrides, tmp_path, quick_store
):
    distill = {"budget": {"steps": 2}, "overrides": overrides}
    run_file = write_run(tmp_path, distill=distill if as_option else {**distill, "recipe": recipe})
    option = ("--recipe", recipe) if as_option else ()
    arguments = ("run", run_file, *option, "--output", tmp_path / "bundle")
    code, _, err = run(*arguments, store=quick_store)
    assert code in (0, 2, 3), err
    manifest = json.loads((tmp_path / "bundle" / "manifest.json").read_text())
    assert manifest["run"]["distill"]["recipe"] == recipe
    assert manifest["health"] == []


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


@pytest.mark.parametrize(
    "phases",
    [
        ("quantize",),
        pytest.param(("distill", "quantize", "probe generator 1"), marks=pytest.mark.slow),
    ],
)
def test_interrupted_run_continues(tmp_path, phases):
    run_file = write_run(tmp_path, gate={"rounds": 20, "generators": 1})
    arguments = ("run", run_file, "--output", tmp_path / "out")
    store = tmp_path / "store"
    for phase in phases:
        process = start(*arguments, store=store)
        for line in process.stderr:
            if line.startswith(phase):
                break
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 130, err
        assert "interrupted" in err
        assert "Traceback" not in err
        assert not (tmp_path / "out").exists()
        assert not list(tmp_path.rglob("*.part"))
    code, _, err = run_process(*arguments, store=store)
    assert code == 2, err  # The quick student is a poor one.
    assert "teacher: reused" in err
    assert (tmp_path / "out" / "manifest.json").exists()


def test_second_run_reuses_every_step(run, tmp_path, quick_store):
    run_file = write_run(tmp_path)
    for name in ("first", "second"):
        code, _, err = run("run", run_file, "--output", tmp_path / name, store=quick_store)
        assert code == 2
    assert err.count(": reused") == 7


def test_exit_codes_of_processes(tmp_path):
    for arguments, expected in (
        (("recipes",), 0),
        (("check", tmp_path / "none.yaml"), 1),
        (("rnu",), 64),
    ):
        code, _, err = run_process(*arguments, store=tmp_path)
        assert code == expected, err


def test_closed_pipe_is_one_line_and_no_traceback(tmp_path):
    process = start("recipes", store=tmp_path)
    process.stdout.close()
    err = process.stderr.read()
    assert process.wait(timeout=60) != 0
    assert "Traceback" not in err


def test_missing_training_modules_are_one_line(tmp_path):
    prelude = "import sys\nfor name in ('torch', 'nncf'): sys.modules[name] = None"
    code, out, _ = run_process("recipes", store=tmp_path, prelude=prelude)
    assert code == 0
    assert "pre-dfkd" in out
    code, _, err = run_process("check", write_run(tmp_path), store=tmp_path, prelude=prelude)
    assert code == 1
    assert err.splitlines() == [
        "datafree-edge: torch is not installed; run: pip install 'datafree-edge[train]'"
    ]


def test_releases_are_listed_fetched_rolled_back_and_collected(run, tmp_path):
    store = tmp_path / "store"
    for letter in "ab":
        assert publish_bundle(Store(str(store)), make_bundle(tmp_path / letter, letter))
    newest, oldest = (r.bundle[:12] for r in reversed(release_history(Store(str(store)), "net")))
    code, out, _ = run("releases", store=store)
    assert (code, newest in out, oldest in out) == (0, True, False)
    code, out, _ = run("releases", "net", store=store)
    assert (code, newest in out, oldest in out) == (0, True, True)
    code, out, _ = run("roll-back", "net", store=store)
    assert out == f"net: bundle {oldest} is released again\n"
    code, out, _ = run("fetch", "net", "--output", tmp_path / "out", store=store)
    assert out == f"net: bundle {oldest} in {tmp_path / 'out'}\n"
    code, out, _ = run("collect", "--dry-run", store=store)
    assert out.startswith("0 steps, 0 files, 0 checkpoints, 0.0 MB would be deleted")
    code, _, err = run("roll-back", "net", store=store)
    assert (code, len(err.splitlines())) == (1, 1)
    assert "there is no earlier release" in err


class TestLint:
    def test_graph_that_tensorrt_accepts(self, run, tmp_path):
        graph = ROOT / "tests" / "targets" / "lint" / "modelopt_int8.onnx"
        code, out, err = run("lint", graph, store=tmp_path)
        assert code == 0, err
        assert "8 channels cost as much as 32" in out
        assert out.splitlines()[-1].endswith("modelopt_int8.onnx: 0 errors, 8 warnings")

    def test_graph_that_tensorrt_rejects(self, run, tmp_path):
        onnx.save(quantized_convolution(activation_zero=np.uint8(0)), tmp_path / "graph.onnx")
        code, out, _ = run("lint", tmp_path / "graph.onnx", store=tmp_path)
        assert code == 1
        assert 'error: quantize: against "the zero point is int8 and 0"' in out

    @pytest.mark.parametrize("content", [b"no graph", None])
    def test_file_that_is_no_graph(self, run, tmp_path, content):
        if content is not None:
            (tmp_path / "graph.onnx").write_bytes(content)
        code, _, err = run("lint", tmp_path / "graph.onnx", store=tmp_path)
        assert code == 1
        assert "graph.onnx" in err
        assert len(err.splitlines()) == 1
