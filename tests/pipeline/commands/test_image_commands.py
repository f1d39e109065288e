"""The commands `score`, `predict` and `benchmark`."""

import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from pipeline.user_images import timing
from tests.support.brightness_bundle import write_brightness_bundle
from tests.support.quick_run import ROOT, write_run

VALUES = {"dark": [3, 10], "medium": [120, 130, 140], "bright": [200, 250]}
"""The grey value of each picture, by class."""


@pytest.fixture
def bundle(tmp_path):
    return write_brightness_bundle(tmp_path / "bundle")


@pytest.fixture
def images(tmp_path):
    for name, values in VALUES.items():
        (folder := tmp_path / "images" / name).mkdir(parents=True)
        for value in values:
            Image.new("L", (9, 6), value).save(folder / f"{value}.png")
    return tmp_path / "images"


@pytest.fixture
def score(run, tmp_path):
    """Run `score` with --json; return what it prints."""

    def run_score(*arguments):
        code, out, err = run("score", *arguments, "--json", store=tmp_path)
        assert code == 0, err
        return json.loads(out)

    return run_score


class TestScore:
    def test_labels_by_folder(self, score, bundle, images):
        found = score(bundle, "--images", images, "--labels", "by-folder")
        assert (found["images"], found["labels"]) == (7, "by class names")
        assert found["accuracy"]["int8"]["count"] == 7
        assert [row["name"] for row in found["classes"]] == ["dark", "medium", "bright"]
        assert [row["images"] for row in found["classes"]] == [2, 3, 2]
        assert found["differing"] == []

    def test_labels_of_csv_and_unreadable_file(self, score, bundle, images, tmp_path):
        (images / "dark" / "bad.jpg").write_bytes(b"\xff\xd8\xff no JPEG")
        (tmp_path / "labels.csv").write_text("file,label\ndark/3.png,dark\ndark/10.png,bright\n")
        found = score(bundle, "--images", images, "--labels", tmp_path / "labels.csv")
        assert (found["accuracy"]["fp32"]["count"], found["accuracy"]["fp32"]["images"]) == (1, 2)
        assert len(found["without_label"]) == 5
        assert list(found["unreadable"]) == ["dark/bad.jpg"]

    def test_models_that_differ_are_shown_on_the_page(self, score, tmp_path, images):
        # 170 / 255 is nearer to medium by a logit of 5.
        bundle = write_brightness_bundle(tmp_path / "other", int8_bias=0.2)
        Image.new("L", (4, 4), 170).save(images / "medium" / "170.png")
        page = tmp_path / "page.html"
        found = score(bundle, "--images", images, "--html", page)
        assert (found["reference"], found["accuracy"]) == ("fp32", {})
        assert found["agreement"]["int8"]["count"] == 7
        assert found["differing"] == ["medium/170.png"]
        assert page.read_text().count("<img") == 1
        assert "medium/170.png" in page.read_text()

    def test_text(self, run, bundle, images, tmp_path):
        code, out, err = run(
            "score", bundle, "--images", images, "--labels", "by-folder", store=tmp_path
        )
        assert (code, err) == (0, "")
        assert "accuracy of int8: 100.00 %" in out
        assert "agreement of int8 with fp32: 100.00 %" in out
        assert "labels: by class names" in out
        assert "medium" in out

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["--labels", "by-foldr"], "by-foldr: cannot be read"),
            (["--html", "none/page.html"], "no folder none"),
            (["--teacher", "none.yaml"], "none.yaml: cannot be read"),
        ],
    )
    def test_wrong_options_are_refused(self, run, bundle, images, tmp_path, arguments, message):
        code, _, err = run("score", bundle, "--images", images, *arguments, store=tmp_path)
        assert code == 1
        assert message in err
        assert len(err.splitlines()) == 1

    def test_needs_no_torch(self, bundle, images):
        code = (
            "import sys\n"
            "for name in ('torch', 'torchvision', 'nncf', 'prefect'): sys.modules[name] = None\n"
            "from pipeline.cli import main\n"
            "main(sys.argv[1:])"
        )
        command = [sys.executable, "-c", code, "score", bundle, "--images", images]
        done = subprocess.run(list(map(str, command)), cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert "agreement of int8 with fp32: 100.00 %" in done.stdout


class TestTeacher:
    @pytest.fixture
    def noise(self, tmp_path):
        """Twenty pictures of coarse noise."""
        (folder := tmp_path / "noise").mkdir()
        rng = np.random.default_rng(0)
        for index in range(20):
            blocks = rng.integers(0, 256, (4, 4), np.uint8)
            Image.fromarray(np.kron(blocks, np.ones((8, 8), np.uint8))).save(
                folder / f"{index}.png"
            )
        return folder

    def test_unquantized_student_agrees_with_its_teacher(self, score, same_bundle, noise, tmp_path):
        run_file = write_run(tmp_path, name="same", student="same")
        found = score(same_bundle, "--images", noise, "--teacher", run_file)
        assert (found["reference"], found["notes"]) == ("teacher", [])
        assert found["agreement"]["fp32"]["count"] == 20
        assert found["agreement"]["int8"]["images"] == 20

    def test_same_teacher_in_a_checkpoint_is_recognised(self, score, same_bundle, noise, tmp_path):
        import torch
        from safetensors.torch import load_file

        from tests.support.quick_run import EXAMPLE, QUICK

        state = load_file(EXAMPLE / "teacher.safetensors")
        wrapped = {f"module.{name}": value for name, value in state.items()}
        torch.save({"model": {}, "model_ema": wrapped, "model_raw": wrapped}, tmp_path / "t.ckpt")
        section = {**QUICK["teacher"], "weights": "t.ckpt", "weights_key": "model_ema"}
        run_file = write_run(tmp_path, name="same", student="same", teacher=section)
        assert score(same_bundle, "--images", noise, "--teacher", run_file)["notes"] == []

    def test_other_teacher_is_noted(self, score, same_bundle, noise, tmp_path):
        from safetensors.torch import load_file, save_file

        from tests.support.quick_run import EXAMPLE, QUICK

        state = load_file(EXAMPLE / "teacher.safetensors")
        save_file({name: 2 * value for name, value in state.items()}, tmp_path / "t.safetensors")
        teacher = {**QUICK["teacher"], "weights": "t.safetensors"}
        run_file = write_run(tmp_path, name="same", student="same", teacher=teacher)
        found = score(same_bundle, "--images", noise, "--teacher", run_file)
        assert "has another teacher" in found["notes"][0]

    def test_teacher_of_other_pictures_is_refused(self, run, same_bundle, noise, tmp_path):
        section = {"shape": [1, 32, 32], "mean": [0.5], "std": [0.3081]}
        run_file = write_run(tmp_path, name="same", student="same", input=section)
        code, _, err = run(
            "score", same_bundle, "--images", noise, "--teacher", run_file, store=tmp_path
        )
        assert code == 1
        assert "its input or number of classes is not that of the bundle" in err


class TestPredict:
    def test_most_probable_classes(self, run, bundle, images, tmp_path):
        files = [images / "bright" / "250.png", images / "dark" / "3.png"]
        code, out, err = run("predict", bundle, *files, "--top", "2", "--json", store=tmp_path)
        assert code == 0, err
        first, second = json.loads(out)
        assert [each["name"] for each in first["classes"]] == ["bright", "medium"]
        assert (second["file"], second["classes"][0]["class"]) == (str(files[1]), 0)
        mean = 250 / 255  # The logits are 40 (c (2 m - 1) + c - c^2) for the centres c.
        logits = 40 * np.array([0, 0.5 * (2 * mean - 1) + 0.25, 2 * mean - 1])
        shares = np.exp(logits) / np.exp(logits).sum()
        assert first["classes"][0]["probability"] == pytest.approx(shares[2], abs=1e-4)

    def test_text_in_the_order_of_the_files(self, run, bundle, images, tmp_path):
        bad, good = tmp_path / "none.png", images / "dark" / "3.png"
        code, out, _ = run("predict", bundle, bad, good, good, store=tmp_path)
        assert code == 0
        lines = out.splitlines()
        assert lines[0].startswith(f"{bad}: ")
        assert "No such file" in lines[0]
        assert lines[1] == lines[2]
        assert lines[1].startswith(f"{good}: dark ")

    def test_no_readable_picture_is_an_error(self, run, bundle, tmp_path):
        code, _, err = run("predict", bundle, tmp_path / "none.png", store=tmp_path)
        assert code == 1
        assert "none.png" in err


class TestBenchmark:
    @pytest.fixture(autouse=True)
    def short_rounds(self, monkeypatch):
        monkeypatch.setattr(timing, "ROUND_S", 0.001)

    def test_json(self, run, bundle, tmp_path):
        code, out, err = run("benchmark", bundle, "--json", store=tmp_path)
        assert code == 0, err
        found = json.loads(out)
        assert found["int8_instructions"] in ("vnni", "avx2", "i8mm", "dotprod", "none")
        assert {(t["batch"], t["threads"]) for t in found["timings"]} >= {(1, 1), (8, 1)}

    def test_table(self, run, tmp_path):
        bundle = write_brightness_bundle(
            tmp_path / "b", run={"teacher": {"classes": 3}, "targets": ["orin-nano"]}
        )
        code, out, err = run("benchmark", bundle, store=tmp_path)
        assert code == 0
        assert "not those of orin-nano" in err
        assert "fp32 / int8" in out


@pytest.mark.parametrize("command", ["score", "predict", "benchmark"])
def test_folder_without_bundle_is_refused(run, tmp_path, command):
    more = {"score": ["--images", tmp_path], "predict": [tmp_path / "x.png"], "benchmark": []}
    code, _, err = run(command, tmp_path, *more[command], store=tmp_path)
    assert code == 1
    assert "not a bundle" in err
