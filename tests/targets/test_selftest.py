"""The selftest: its own network, its dry run, the file it leaves; with a stand-in for trtexec."""

import json
import zipfile

import pytest

from targets import compile_bundle as compiling
from targets import selftest as trying
from targets.__main__ import main
from targets.bundle_files import open_bundle
from targets.golden import load_golden
from targets.lint import errors, lint
from targets.onnxruntime_cpu import answer_golden, open_session
from targets.selftest_bundle import write_selftest_bundle
from targets.verdict import judge
from tests.targets.standing_in import DEVICE, install_stand_in

FORMS = ("fp32", "fp16", "int8", "int8-float-weights", "int8-fp16", "int8-cpu")


@pytest.mark.parametrize("opset", [13, 17])
def test_every_form_of_its_network_agrees_with_its_teacher(tmp_path, opset):
    write_selftest_bundle(tmp_path, opset)
    open_bundle(tmp_path)
    golden = load_golden(tmp_path / "golden.npz")
    for form in FORMS:
        graph = tmp_path / "graphs" / f"student.{form}.onnx"
        logits = answer_golden(open_session(graph, optimised=False), golden)
        verdict = judge(golden, logits, 0.85, 0.95)
        assert verdict.agreement > 0.93, form
        assert errors(lint(graph)) == []
    assert verdict.outcome == "pass"
    classes = [count for count in verdict.teacher_histogram if count]
    assert len(classes) >= 3


def test_a_dry_run_says_what_it_would_do(monkeypatch, tmp_path, capsys):
    install_stand_in(monkeypatch, tmp_path, "8.2")
    assert main(["selftest", "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "student.int8-float-weights.onnx" in said
    assert "--onnx=student.int8-float-weights.onnx" in said and "--buildOnly" in said
    assert "--loadEngine=student.fp16.engine" in said


def test_a_dry_run_without_tensorrt_says_so(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["selftest", "--dry-run"]) == 0
    assert "nothing would be built here" in capsys.readouterr().out


@pytest.mark.parametrize(("fails", "code"), [("", 0), ("memory", 1)])
def test_the_report_holds_everything_but_engines(monkeypatch, tmp_path, capsys, fails, code):
    install_stand_in(monkeypatch, tmp_path, "10.3")
    monkeypatch.setenv("STANDIN_FAILS", fails)
    monkeypatch.setattr(trying, "this_device", lambda: DEVICE)
    monkeypatch.setattr(compiling, "this_device", lambda: DEVICE)
    monkeypatch.setattr(compiling, "preflight", lambda target, place: [])
    report = tmp_path / "report.zip"
    assert main(["selftest", "--report", str(report)]) == code
    archive = zipfile.ZipFile(report)
    names = set(archive.namelist())
    assert {"device.json", "said.txt", "build.int8.log"} <= names
    assert not any(name.endswith((".engine", ".cache")) for name in names)
    facts = json.loads(archive.read("device.json"))
    assert facts["passed"] == (code == 0)
    assert facts["device"]["target"] == "orin-nano-8"
    said = archive.read("said.txt").decode()
    assert ("recommended:" in said) == (code == 0)
    assert ("failed: memory ran out" in said) == (code == 1)


def test_elsewhere_it_is_one_line(capsys):
    assert main(["selftest"]) == 1
    assert "this machine is no Jetson" in capsys.readouterr().err
