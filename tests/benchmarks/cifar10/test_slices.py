"""The CIFAR-10 benchmark in time slices, with tiny networks on a CPU."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks import result_pages
from benchmarks.cifar10 import __main__ as cifar10
from benchmarks.cifar10 import distillation, images, page, teacher
from benchmarks.cifar10.distillation import PAIRS, is_due, share_tensors
from benchmarks.cifar10.slices import UNFINISHED, TimeSlice, write_atomically
from dfkd.models import ARCHITECTURES
from dfkd.models.construction import build
from dfkd.recipes import RECIPES
from dfkd.recipes.house import HOUSE
from dfkd.training.loop import DivergedError
from tests.support.quick_run import ROOT

IMPORTS = """
import sys

AVAILABLE = {"torch", "torchgen", "torchvision", "numpy", "safetensors", "PIL"}
AVAILABLE |= {"filelock", "fsspec", "jinja2", "mpmath", "networkx", "sympy", "typing_extensions"}
AVAILABLE |= {"benchmarks", "dfkd"}


class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] not in AVAILABLE | sys.stdlib_module_names:
            raise ModuleNotFoundError(f"{name} is not installed", name=name)


sys.meta_path.insert(0, Blocker())
import benchmarks.cifar10.__main__

loaded = {name.split(".")[0] for name in sys.modules}
assert not loaded & {"pydantic", "typer", "rich", "onnx", "nncf", "prefect", "lightning"}
assert not loaded & {"pipeline", "targets", "flows"}
assert not {"benchmarks.data", "benchmarks.machine"} & set(sys.modules)
"""
"""Imports the benchmark with only torch, numpy, safetensors, Pillow and their dependencies."""


@pytest.mark.server
def test_benchmark_imports_with_few_packages_only():
    subprocess.run([sys.executable, "-c", IMPORTS], check=True, cwd=ROOT)


@pytest.fixture
def data(tmp_path):
    """Two files of 24 training images and one of 20 test images; brightness shows the class."""
    folder, rng = tmp_path / "data" / "cifar10", np.random.default_rng(0)
    folder.mkdir(parents=True)
    for part, strips, count in (("train", 2, 24), ("test", 1, 20)):
        labels = np.arange(strips * count, dtype=np.uint8) % 10
        noise = rng.integers(0, 60, (len(labels), 32, 32, 3))
        pixels = (noise + 19 * labels[:, None, None, None]).astype(np.uint8)
        for strip in range(strips):
            tall = pixels[strip * count : (strip + 1) * count].reshape(-1, 32, 3)
            Image.fromarray(tall).save(folder / f"{part}_{strip:02}.png")
        np.save(folder / f"{part}_labels.npy", labels)
    return folder.parent


def narrow(width):
    return replace(ARCHITECTURES["lenet5-bn"], width=width)


@pytest.fixture
def tiny(monkeypatch):
    """A pair of tiny networks and a tiny recipe."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setitem(ARCHITECTURES, "tiny-teacher", narrow(1.0))
    monkeypatch.setitem(ARCHITECTURES, "tiny-student", narrow(0.5))
    monkeypatch.setitem(PAIRS, "tiny", ("tiny-teacher", "tiny-student"))
    small = {"batch": 8, "memory": 64, "fresh_batches": 1, "student_steps": 2, "width": 4}
    monkeypatch.setitem(RECIPES, "house", HOUSE.overridden(small))
    monkeypatch.setattr(distillation, "EVALUATIONS", 6)
    monkeypatch.setattr(teacher, "BATCH", 16)


def run(data, state, **others):
    options = {"pair": "tiny", "passes": 24 * 32, "epochs": 2, "state": state, **others}
    words = [word for key, value in options.items() for word in (f"--{key}", str(value))]
    return cifar10.main([str(data), *words])


def stop_after(monkeypatch, checkpoints):
    """End the slice after this many checkpoints; 0 means never."""
    seen = []
    monkeypatch.setattr(TimeSlice, "is_over", lambda _: seen.append(1) or len(seen) == checkpoints)


def read_result(state):
    row = json.loads((state / "row.json").read_text())
    saved = torch.load(state / "loop.pt", weights_only=True)
    return row, saved["loop"]["student"]["student"]


@pytest.mark.slow
def test_run_in_slices_equals_an_uninterrupted_run(tmp_path, data, tiny, monkeypatch):
    stop_after(monkeypatch, 0)
    assert run(data, tmp_path / "whole") == 0
    # The slices end in the teacher's second epoch, at round 7, and at round 20, where the snapshot
    # equals the state.
    for checkpoints in (4, 1 + 7, 13):
        stop_after(monkeypatch, checkpoints)
        assert run(data, tmp_path / "sliced") == UNFINISHED
        assert not (tmp_path / "sliced" / "row.json").exists()
    stop_after(monkeypatch, 0)
    assert run(data, tmp_path / "sliced") == 0
    (row, student), (again, resumed) = (
        read_result(tmp_path / "whole"),
        read_result(tmp_path / "sliced"),
    )
    assert row.pop("minutes") >= 0 and again.pop("minutes") >= 0
    assert row == again
    assert all(torch.equal(value, resumed[name]) for name, value in student.items())
    assert len(row["curve"]) == 6
    assert row["final"] == row["curve"][-1]["accuracy"] <= row["peak"]
    assert row["passes"] == row["budget"] == 24 * 32
    assert row["precision"] == "float32"
    assert sorted(path.name for path in (tmp_path / "sliced").iterdir()) == [
        "loop.pt",
        "row.json",
        "teacher.safetensors",
    ]


def test_evaluations_do_not_change_the_student(tmp_path, data, tiny, monkeypatch):
    students, shared = [], {"passes": 160, "teacher": tmp_path / "teacher.safetensors"}
    for evaluations in (1, 5):
        monkeypatch.setattr(distillation, "EVALUATIONS", evaluations)
        assert run(data, tmp_path / f"{evaluations}", **shared) == 0
        row, student = read_result(tmp_path / f"{evaluations}")
        assert len(row["curve"]) == evaluations
        students.append(student)
    assert all(torch.equal(value, students[1][name]) for name, value in students[0].items())


def test_state_folder_of_another_run_is_refused(tmp_path, data, tiny, monkeypatch):
    state = tmp_path / "run"
    stop_after(monkeypatch, 8)
    assert run(data, state, passes=160) == UNFINISHED
    with pytest.raises(ValueError, match=r"loop\.pt .* another run with a different budget"):
        run(data, state, passes=320)
    assert run(data, state, passes=160) == 0
    with pytest.raises(ValueError, match=r"row\.json .* another run with a different seed"):
        run(data, state, passes=160, seed=1)


def test_row_of_a_diverged_run_has_the_event_and_a_constant_curve(
    tmp_path, data, tiny, monkeypatch
):
    def diverge(loop, *_):
        loop.health.events.append("round 3: given up")
        raise DivergedError

    monkeypatch.setattr(distillation.Loop, "run", diverge)
    assert run(data, tmp_path / "run") == 0
    row, _ = read_result(tmp_path / "run")
    assert row["events"] == ["round 3: given up"]
    assert len(row["curve"]) == distillation.EVALUATIONS
    assert len({point["accuracy"] for point in row["curve"]}) == 1


def test_missing_or_inconsistent_data_is_reported(data):
    device = torch.device("cpu")
    pixels, labels = images.read_part(data, "train", device)
    assert pixels.shape == (48, 3, 32, 32)
    assert labels.tolist() == [index % 10 for index in range(48)]
    (data / "cifar10" / "train_01.png").unlink()
    with pytest.raises(ValueError, match="24 train images, 48 labels"):
        images.read_part(data, "train", device)
    with pytest.raises(FileNotFoundError, match="train_00"):
        images.read_part(data.parent, "train", device)


def test_crop_and_flip_uses_the_given_corners_and_flips():
    pixels = torch.randint(256, (3, 3, 32, 32), dtype=torch.uint8)
    corners, flips = torch.tensor([[4, 4], [0, 8], [7, 1]]), torch.tensor([False, True, True])
    seen = images.crop_and_flip(pixels, corners, flips)
    assert torch.equal(seen[0], pixels[0])
    for image, before, (top, left) in zip(seen[1:], pixels[1:], corners[1:].tolist(), strict=True):
        padded = torch.nn.functional.pad(before, (4, 4, 4, 4))
        assert torch.equal(image, padded[:, top : top + 32, left : left + 32].flip(2))


def test_learning_rate_rises_to_its_peak_and_falls_to_zero():
    rates = [teacher.one_cycle(step / 1000) for step in range(1001)]
    assert rates[0] == 0.0
    assert rates.index(max(rates)) == 300
    assert max(rates) == pytest.approx(teacher.PEAK_LR)
    assert rates[-1] == pytest.approx(0.0)


def test_teacher_is_stored_in_half_precision_except_batch_norms(tmp_path):
    model = build("resnet20", images.SPEC, 10, 0.25)
    model.bn1.running_var.fill_(1e-9)
    stored = teacher.compact_state(model)
    assert stored["conv1.weight"].dtype == torch.half
    assert torch.equal(stored["bn1.running_var"], model.bn1.running_var)


@pytest.mark.parametrize("rounds", [7, 40, 65, 22_321])
def test_evaluations_are_even_and_include_the_last_round(rounds):
    due = [number for number in range(1, rounds + 1) if is_due(number, rounds, 40)]
    assert len(due) == min(rounds, 40)
    assert due[-1] == rounds
    gaps = np.diff([0, *due])
    assert max(gaps) - min(gaps) <= 1


def test_share_tensors_replaces_equal_tensors():
    now = {"a": [torch.ones(2), torch.zeros(2)], "b": torch.ones(3), "c": (1, None)}
    then = {"a": [torch.ones(2), torch.ones(2)], "b": torch.ones(2), "c": (1, None)}
    shared = share_tensors(then, now)
    assert shared["a"][0] is now["a"][0]
    assert shared["a"][1] is then["a"][1] and shared["b"] is then["b"]
    assert shared["c"] == (1, None)


def test_first_signal_ends_the_slice_and_the_second_the_process():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with TimeSlice() as time_slice:
            assert not time_slice.is_over()
            os.kill(os.getpid(), signal.SIGINT)
            assert time_slice.is_over() and time_slice.exit_code == 130
            with pytest.raises(KeyboardInterrupt):
                os.kill(os.getpid(), signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)


def test_interrupted_write_keeps_the_old_file(tmp_path):
    def fail(file):
        file.write(b"half")
        raise OSError

    path = tmp_path / "folder" / "file"
    write_atomically(path, lambda file: file.write(b"whole"))
    with pytest.raises(OSError):
        write_atomically(path, fail)
    assert [p.name for p in path.parent.iterdir()] == ["file"]
    assert path.read_bytes() == b"whole"


def test_collect_reports_an_unfinished_run(tmp_path, capsys):
    with pytest.raises(SystemExit):
        cifar10.main(["--collect", str(tmp_path / "away")])
    assert f"no row.json in {tmp_path / 'away'}" in capsys.readouterr().err


def test_collect_adds_rows_and_keeps_empty_ones(tmp_path, monkeypatch):
    monkeypatch.setattr(result_pages, "RESULTS", tmp_path)
    assert cifar10.main(["--collect"]) == 0
    text = (tmp_path / "cifar10.md").read_text()
    assert text.count("| not measured |") >= 3 * 7
    assert "no data-centre GPU was available" in text
    for final in (93.0, 94.0):
        row = {"pair": "resnet34-resnet18", "recipe": "cmi", "budget": 9, "seed": 0}
        row |= dict.fromkeys(page.MEASURED, 1) | {"seed": 0, "final": final}
        (tmp_path / "row.json").write_text(json.dumps({**row, "command": "go", "events": ["fell"]}))
        assert cifar10.main(["--collect", str(tmp_path)]) == 0
    lines = (tmp_path / "cifar10.md").read_text().splitlines()
    assert [line for line in lines if line.startswith("| cmi | 94.84")] == [
        "| cmi | 94.84 | 1 | 0 | 94.0 |" + " 1 |" * 11
    ]
    assert "- `go`" in lines
    assert "- resnet34-resnet18, cmi, seed 0: fell" in lines
    assert len(json.loads((tmp_path / "cifar10.json").read_text())) == 3 * 7


def test_committed_page_matches_its_rows():
    rows = json.loads((result_pages.RESULTS / "cifar10.json").read_text())
    written = (result_pages.RESULTS / "cifar10.md").read_text()
    assert page.render(rows, distillation.EVALUATIONS) == written
