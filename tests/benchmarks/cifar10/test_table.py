"""The benchmark for a data-centre GPU, at a size for a CPU."""

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

from benchmarks.cifar10 import __main__ as cifar10
from benchmarks.cifar10 import run as cifar10_run
from benchmarks.cifar10 import table as cifar10_table
from benchmarks.cifar10 import teacher as cifar10_teacher
from benchmarks.cifar10.run import PAIRS, is_due, sharing
from benchmarks.cifar10.slices import AGAIN, Slice, write_whole
from dfkd.models import ARCHITECTURES
from dfkd.recipes import RECIPES
from dfkd.recipes.house import HOUSE
from dfkd.training.loop import DivergedError
from tests.support.quick_run import ROOT

IMPORTS = """
import sys

THERE = {"torch", "torchgen", "torchvision", "numpy", "safetensors", "PIL", "benchmarks", "dfkd"}
THERE |= {"filelock", "fsspec", "jinja2", "mpmath", "networkx", "sympy", "typing_extensions"}


class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] not in THERE | sys.stdlib_module_names:
            raise ModuleNotFoundError(f"{name} is not there", name=name)


sys.meta_path.insert(0, Blocker())
import benchmarks.cifar10.__main__

loaded = {name.split(".")[0] for name in sys.modules}
assert not loaded & {"pydantic", "typer", "rich", "onnx", "nncf", "prefect", "lightning"}
assert not loaded & {"pipeline", "targets", "flows"}
assert not {"benchmarks.data", "benchmarks.machine"} & set(sys.modules)
"""
"""Imports the benchmark where there is torch with what it requires, and little else."""


def test_it_needs_nothing_beyond_torch_numpy_safetensors_and_pillow():
    subprocess.run([sys.executable, "-c", IMPORTS], check=True, cwd=ROOT)


@pytest.fixture
def data(tmp_path):
    """Two strips of 24 training images and one of 20 test images, brighter by class."""
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
    return replace(ARCHITECTURES["resnet20"], width=width)


@pytest.fixture
def tiny(monkeypatch):
    """A pair of tiny networks, a tiny recipe and a slice that is counted instead of timed."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setitem(ARCHITECTURES, "tiny-teacher", narrow(0.25))
    monkeypatch.setitem(ARCHITECTURES, "tiny-student", narrow(0.125))
    monkeypatch.setitem(PAIRS, "tiny", ("tiny-teacher", "tiny-student"))
    small = {"batch": 8, "memory": 64, "fresh_batches": 1, "student_steps": 2, "width": 8}
    monkeypatch.setitem(RECIPES, "house", HOUSE.overridden(small))
    monkeypatch.setattr(cifar10_run, "EVALUATIONS", 6)
    monkeypatch.setattr(cifar10_teacher, "BATCH", 16)


def go(data, state, **others):
    asked = {"pair": "tiny", "passes": 24 * 32, "epochs": 2, "state": state, **others}
    words = [word for key, value in asked.items() for word in (f"--{key}", str(value))]
    return cifar10.main([str(data), *words])


def stop_after(monkeypatch, opportunities):
    """A slice is over at this opportunity to stop; at 0 never."""
    seen = []
    monkeypatch.setattr(Slice, "over", lambda _: seen.append(1) or len(seen) == opportunities)


def left_by(state):
    row = json.loads((state / "row.json").read_text())
    saved = torch.load(state / "loop.pt", weights_only=True)
    return row, saved["loop"]["student"]["student"]


def test_a_run_in_slices_is_the_run_in_one_go(tmp_path, data, tiny, monkeypatch):
    stop_after(monkeypatch, 0)
    assert go(data, tmp_path / "whole") == 0
    # In the teacher's second epoch; at round 7; at round 20, where the snapshot is the state.
    for opportunities in (4, 1 + 7, 13):
        stop_after(monkeypatch, opportunities)
        assert go(data, tmp_path / "sliced") == AGAIN
        assert not (tmp_path / "sliced" / "row.json").exists()
    stop_after(monkeypatch, 0)
    assert go(data, tmp_path / "sliced") == 0
    (row, student), (again, resumed) = left_by(tmp_path / "whole"), left_by(tmp_path / "sliced")
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


def test_evaluation_leaves_no_trace_in_the_student(tmp_path, data, tiny, monkeypatch):
    students, shared = [], {"passes": 160, "teacher": tmp_path / "teacher.safetensors"}
    for evaluations in (1, 5):
        monkeypatch.setattr(cifar10_run, "EVALUATIONS", evaluations)
        assert go(data, tmp_path / f"{evaluations}", **shared) == 0
        row, student = left_by(tmp_path / f"{evaluations}")
        assert len(row["curve"]) == evaluations
        students.append(student)
    assert all(torch.equal(value, students[1][name]) for name, value in students[0].items())


def test_a_folder_of_another_run_is_refused(tmp_path, data, tiny, monkeypatch):
    stop_after(monkeypatch, 8)
    assert go(data, tmp_path / "run") == AGAIN
    with pytest.raises(ValueError, match=r"loop\.pt is of another run: budget differ"):
        go(data, tmp_path / "run", passes=320)
    assert go(data, tmp_path / "run") == 0
    with pytest.raises(ValueError, match=r"row\.json is of another run: seed differ"):
        go(data, tmp_path / "run", seed=1)


def test_a_run_given_up_says_so_in_its_row(tmp_path, data, tiny, monkeypatch):
    def diverge(loop, *_):
        loop.health.events.append("round 3: given up")
        raise DivergedError

    monkeypatch.setattr(cifar10_run.Loop, "run", diverge)
    assert go(data, tmp_path / "run") == 0
    row, _ = left_by(tmp_path / "run")
    assert row["events"] == ["round 3: given up"]
    assert len(row["curve"]) == cifar10_run.EVALUATIONS
    assert len({point["accuracy"] for point in row["curve"]}) == 1


def test_sets_that_are_missing_or_do_not_fit_are_named(data):
    device = torch.device("cpu")
    images, labels = cifar10_teacher.read(data, "train", device)
    assert images.shape == (48, 3, 32, 32)
    assert labels.tolist() == [index % 10 for index in range(48)]
    (data / "cifar10" / "train_01.png").unlink()
    with pytest.raises(ValueError, match="24 train images, but 48 labels"):
        cifar10_teacher.read(data, "train", device)
    with pytest.raises(FileNotFoundError, match="train_00"):
        cifar10_teacher.read(data.parent, "train", device)


def test_crops_and_flips_are_those_asked_for():
    pixels = torch.randint(256, (3, 3, 32, 32), dtype=torch.uint8)
    corners, flips = torch.tensor([[4, 4], [0, 8], [7, 1]]), torch.tensor([False, True, True])
    seen = cifar10_teacher.cropped(pixels, corners, flips)
    assert torch.equal(seen[0], pixels[0])
    for image, before, (top, left) in zip(seen[1:], pixels[1:], corners[1:].tolist(), strict=True):
        padded = torch.nn.functional.pad(before, (4, 4, 4, 4))
        assert torch.equal(image, padded[:, top : top + 32, left : left + 32].flip(2))


def test_the_learning_rate_rises_to_its_peak_and_falls_to_nothing():
    rates = [cifar10_teacher.one_cycle(step / 1000) for step in range(1001)]
    assert rates[0] == 0.0
    assert rates.index(max(rates)) == 300
    assert max(rates) == pytest.approx(cifar10_teacher.PEAK_RATE)
    assert rates[-1] == pytest.approx(0.0)


def test_a_teacher_is_stored_small_but_its_batch_norms_exactly(tmp_path):
    model = narrow(0.25)(cifar10_teacher.SPEC, 10, 1.0)
    model.bn1.running_var.fill_(1e-9)
    stored = cifar10_teacher.small(model)
    assert stored["conv1.weight"].dtype == torch.half
    assert torch.equal(stored["bn1.running_var"], model.bn1.running_var)


@pytest.mark.parametrize("rounds", [7, 40, 65, 22_321])
def test_evaluations_are_spread_evenly_and_end_with_the_last_round(rounds):
    due = [number for number in range(1, rounds + 1) if is_due(number, rounds, 40)]
    assert len(due) == min(rounds, 40)
    assert due[-1] == rounds
    gaps = np.diff([0, *due])
    assert max(gaps) - min(gaps) <= 1


def test_an_unchanged_tensor_is_stored_once():
    now = {"a": [torch.ones(2), torch.zeros(2)], "b": torch.ones(3), "c": (1, None)}
    then = {"a": [torch.ones(2), torch.ones(2)], "b": torch.ones(2), "c": (1, None)}
    shared = sharing(then, now)
    assert shared["a"][0] is now["a"][0]
    assert shared["a"][1] is then["a"][1] and shared["b"] is then["b"]
    assert shared["c"] == (1, None)


def test_a_signal_ends_the_slice_and_a_second_one_the_process():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with Slice() as span:
            assert not span.over()
            os.kill(os.getpid(), signal.SIGINT)
            assert span.over() and span.exit_code == 130
            with pytest.raises(KeyboardInterrupt):
                os.kill(os.getpid(), signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    def break_off(file):
        file.write(b"half")
        raise OSError

    path = tmp_path / "folder" / "file"
    write_whole(path, lambda file: file.write(b"whole"))
    with pytest.raises(OSError):
        write_whole(path, break_off)
    assert [p.name for p in path.parent.iterdir()] == ["file"]
    assert path.read_bytes() == b"whole"


def test_a_folder_without_a_finished_run_is_named(tmp_path, capsys):
    with pytest.raises(SystemExit):
        cifar10.main(["--collect", str(tmp_path / "away")])
    assert f"no finished run, in {tmp_path / 'away'}" in capsys.readouterr().err


def test_the_tables_show_what_is_measured_and_what_is_not(tmp_path, monkeypatch):
    monkeypatch.setattr(cifar10_table, "RESULTS", tmp_path)
    assert cifar10.main(["--collect"]) == 0
    text = (tmp_path / "cifar10.md").read_text()
    assert text.count("| not measured |") >= 3 * 7
    assert "no data-centre GPU was at hand" in text
    for final in (93.0, 94.0):
        row = {"pair": "resnet34-resnet18", "recipe": "cmi", "budget": 9, "seed": 0}
        row |= dict.fromkeys(cifar10_table.MEASURED, 1) | {"seed": 0, "final": final}
        (tmp_path / "row.json").write_text(json.dumps({**row, "command": "go", "events": ["fell"]}))
        assert cifar10.main(["--collect", str(tmp_path)]) == 0
    lines = (tmp_path / "cifar10.md").read_text().splitlines()
    assert [line for line in lines if line.startswith("| cmi | 94.84")] == [
        "| cmi | 94.84 | 1 | 0 | 94.0 |" + " 1 |" * 11
    ]
    assert "- `go`" in lines
    assert "- resnet34-resnet18, cmi, seed 0: fell" in lines
    assert len(json.loads((tmp_path / "cifar10.json").read_text())) == 3 * 7


def test_the_committed_table_is_what_the_committed_rows_say():
    rows = json.loads((cifar10_table.RESULTS / "cifar10.json").read_text())
    written = (cifar10_table.RESULTS / "cifar10.md").read_text()
    assert cifar10_table.rendered(rows, cifar10_run.EVALUATIONS) == written
