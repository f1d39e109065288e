"""Commands that refuse wrong input: one line that names the cause, and nothing left behind."""

import json
import os
import pickle

import pytest

from tests.support.quick_run import EXAMPLE, QUICK, write_run


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
        assert "not a bundle" in err
        assert (tmp_path / "mine" / "thesis.txt").exists()

    def test_validate_of_folder_without_bundle(self, run, tmp_path):
        code, _, err = run("validate", tmp_path, store=tmp_path)
        assert code == 1
        assert "not a bundle" in err


@pytest.mark.parametrize("arguments", [("run",), ("rnu", "x"), ("run", "x", "--outputt", "y")])
def test_wrong_command_line_has_exit_code_64(run, tmp_path, arguments):
    code, _, err = run(*arguments, store=tmp_path)
    assert code == 64, err


def test_check_accepts_run_file_without_running_it(run, tmp_path):
    run_file = write_run(tmp_path)
    code, out, _ = run("check", run_file, "--output", tmp_path / "out", store=tmp_path)
    assert code == 0
    assert "no problems found" in out
    assert "estimated time" in out
    assert not (tmp_path / "out").exists()


def test_check_prints_json(run, tmp_path):
    code, out, _ = run("check", write_run(tmp_path), "--json", store=tmp_path)
    assert code == 0
    found = json.loads(out)
    assert found["network"]["quantized_share"] == 1.0
    assert {"distill", "quantize", "probe"} <= {stage["name"] for stage in found["stages"]}


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
