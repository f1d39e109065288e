"""The selftest with a stand-in for trtexec: its network, its dry run, its report."""

import dataclasses
import json
import platform
import re
import shutil
import zipfile
from pathlib import Path

import pytest

from targets.bundle.bundle_files import open_bundle
from targets.bundle.golden import load_golden
from targets.bundle.verdict import judge
from targets.catalogue.device_detection import NotAJetsonError
from targets.command_line import main
from targets.cpu.session import open_session, predict_golden
from targets.lint.linter import errors, lint
from targets.on_device import build_environment as environment_module
from targets.on_device import compile_bundle as compile_module
from targets.selftest import dry_run as dry_run_module
from targets.selftest import report_archive, sample_bundle, this_device
from targets.selftest import selftest as selftest_module
from targets.selftest.sample_bundle import PROBE_COUNT, write_selftest_bundle
from targets.tensorrt.options import UnsupportedError
from tests.support.trtexec.install import DEVICE, install_trtexec_stand_in

FORMS = ("fp32", "fp16", "int8", "int8-float-weights", "int8-fp16", "int8-cpu")


FEW_PROBES = 250


@pytest.fixture(scope="module")
def sample_bundles(tmp_path_factory):
    """Return a function like `write_selftest_bundle` that makes each bundle once, of few probes."""
    folders = {}

    def write(folder, opset, probes=FEW_PROBES):
        if (opset, probes) not in folders:
            folders[opset, probes] = tmp_path_factory.mktemp(f"opset{opset}")
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(sample_bundle, "PROBE_COUNT", probes)
                write_selftest_bundle(folders[opset, probes], opset)
        shutil.copytree(folders[opset, probes], folder, dirs_exist_ok=True)

    return write


@pytest.fixture(autouse=True)
def _sample_bundle_is_made_once(sample_bundles, monkeypatch):
    for module in (selftest_module, dry_run_module):
        monkeypatch.setattr(module, "write_selftest_bundle", sample_bundles)


@pytest.mark.parametrize(
    ("opset", "probes"),
    [
        (17, FEW_PROBES),
        pytest.param(13, PROBE_COUNT, marks=pytest.mark.slow),
        pytest.param(17, PROBE_COUNT, marks=pytest.mark.slow),
    ],
)
def test_every_form_of_the_sample_network_agrees_with_its_teacher(
    sample_bundles, tmp_path, opset, probes
):
    sample_bundles(tmp_path, opset, probes)
    open_bundle(tmp_path)
    golden = load_golden(tmp_path / "golden.npz")
    for form in FORMS:
        graph = tmp_path / "graphs" / f"student.{form}.onnx"
        logits = predict_golden(open_session(graph, optimized=False), golden)
        verdict = judge(golden, logits, 0.85, 0.95)
        assert verdict.agreement > 0.92, form
        assert errors(lint(graph)) == []
    assert verdict.outcome == "pass"
    classes = [count for count in verdict.teacher_histogram if count]
    assert len(classes) >= 3


def test_dry_run_shows_graphs_and_commands(monkeypatch, tmp_path, capsys):
    install_trtexec_stand_in(monkeypatch, tmp_path, "8.2")
    assert main(["selftest", "--dry-run"]) == 0
    output = capsys.readouterr().out
    assert "student.int8-float-weights.onnx" in output
    assert "--onnx=student.int8-float-weights.onnx" in output and "--buildOnly" in output
    assert "--loadEngine=student.fp16.engine" in output


@pytest.fixture
def here(monkeypatch):
    """Return a function that makes this machine look like a Jetson."""

    def _here(**facts):
        device = dataclasses.replace(DEVICE, **facts)
        for module in (selftest_module, this_device, compile_module, environment_module):
            monkeypatch.setattr(module, "this_jetson", lambda: device)
        for module in (selftest_module, compile_module):
            monkeypatch.setattr(module, "preflight", lambda target, place: [])
        return device

    return _here


def test_dry_run_on_a_nano_has_no_int8_and_512_mib(here, monkeypatch, tmp_path, capsys):
    install_trtexec_stand_in(monkeypatch, tmp_path, "8.2")
    here(target="nano", jetpack="4.6.1", opset=13, has_int8=False)
    assert main(["selftest", "--dry-run"]) == 0
    output = capsys.readouterr().out
    assert "--onnx=student.fp32.onnx" in output and "--workspace=512" in output
    assert "student.int8.engine" not in output and "--int8" not in output


def test_dry_run_shows_the_accelerator(here, monkeypatch, tmp_path, capsys):
    install_trtexec_stand_in(monkeypatch, tmp_path, "10.3")
    here(target="orin-nx-16")
    assert main(["selftest", "--dry-run"]) == 0
    output = capsys.readouterr().out
    assert "--onnx=student.dla-int8.onnx" in output and "--useDLACore=0" in output


def test_dry_run_without_tensorrt_builds_nothing(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["selftest", "--dry-run"]) == 0
    assert "nothing would be built here" in capsys.readouterr().out


@pytest.mark.parametrize(("fails", "code"), [("", 0), ("memory", 1)])
def test_report_contains_everything_except_engines(
    here, monkeypatch, tmp_path, capsys, fails, code
):
    install_trtexec_stand_in(monkeypatch, tmp_path, "10.3")
    monkeypatch.setenv("STANDIN_FAILS", fails)
    here()
    report = tmp_path / "report.zip"
    assert main(["selftest", "--report", str(report)]) == code
    archive = zipfile.ZipFile(report)
    names = set(archive.namelist())
    assert {"device.json", "said.txt", "orin-nano-8/build.int8.log"} <= names
    assert not any(name.endswith((".engine", ".onnx", ".part")) for name in names)
    facts = json.loads(archive.read("device.json"))
    assert facts["passed"] == (code == 0)
    assert facts["device"]["target"] == "orin-nano-8"
    output = archive.read("said.txt").decode()
    assert ("recommended:" in output) == (code == 0)
    assert ("failed: out of memory" in output) == (code == 1)
    assert not list(tmp_path.glob(".*.part"))


@pytest.mark.slow
def test_selftest_builds_for_the_accelerator(here, monkeypatch, tmp_path):
    install_trtexec_stand_in(monkeypatch, tmp_path, "8.5")
    # The stand-in starts a process for each batch.
    monkeypatch.setattr(selftest_module, "DLA_BATCH", 250)
    here(target="orin-nx-16", jetpack="5.1", opset=17)
    report = tmp_path / "report.zip"
    main(["selftest", "--report", str(report)])
    archive = zipfile.ZipFile(report)
    report_json = json.loads(archive.read("orin-nx-16-dla0/report.json"))
    assert report_json["engines"]["int8"]["dla_core"] == 0
    assert report_json["engines"]["int8"]["verdict"]["images"] == FEW_PROBES
    assert "orin-nx-16/report.json" in archive.namelist()


@pytest.mark.slow
def test_unsupported_accelerator_is_skipped_without_failure(here, monkeypatch, tmp_path):
    install_trtexec_stand_in(monkeypatch, tmp_path, "10.16")
    here(target="orin-nx-16", jetpack="7.2", opset=24)
    report = tmp_path / "report.zip"
    assert main(["selftest", "--report", str(report)]) == 0
    output = zipfile.ZipFile(report).read("said.txt").decode()
    assert "skipping the DLA: JetPack 7.2 cannot use the DLA" in output


def fail_with(error):
    def _fail(*_, **__):
        raise error

    return _fail


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("this_jetson", NotAJetsonError("this Jetson is not in the catalogue (p9999)")),
        ("compile_bundle", UnsupportedError("the graph's opset 17 is above 13")),
        ("compile_bundle", OSError(28, "No space left on device")),
        ("write_selftest_bundle", ValueError("something\nodd")),
        ("preflight", KeyError("unexpected")),
    ],
)
def test_report_is_written_after_any_failure(here, monkeypatch, tmp_path, capsys, name, error):
    install_trtexec_stand_in(monkeypatch, tmp_path, "8.5")
    here()
    monkeypatch.setattr(selftest_module, name, fail_with(error))
    report = tmp_path / "report.zip"
    assert main(["selftest", "--report", str(report)]) == 1
    lines = capsys.readouterr().out.splitlines()
    line = next(line for line in lines if line.startswith("failed: "))
    archive = zipfile.ZipFile(report)
    assert line in archive.read("said.txt").decode().splitlines()
    facts = json.loads(archive.read("device.json"))
    assert type(error).__name__ in "".join(facts["tracebacks"][0])
    assert facts["passed"] is False and "numpy" in facts["versions"]


def test_selftest_on_another_machine_writes_a_report(tmp_path, capsys):
    report = tmp_path / "report.zip"
    assert main(["selftest", "--report", str(report)]) == 1
    assert "failed: this machine is not a Jetson" in capsys.readouterr().out
    assert "said.txt" in zipfile.ZipFile(report).namelist()


def test_unwritable_report_is_a_one_line_error(tmp_path, capsys):
    assert main(["selftest", "--report", str(tmp_path / "no" / "where.zip")]) == 1
    assert "no/.where.zip.part" in capsys.readouterr().err


def test_report_does_not_identify_its_owner(here, monkeypatch, tmp_path):
    """No host name, home folder or GPU id, even if a program prints one."""
    install_trtexec_stand_in(monkeypatch, tmp_path, "8.5")
    here()
    home = tmp_path / "jane"
    (home / "scratch").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setattr(selftest_module.tempfile, "tempdir", str(home / "scratch"))
    uuid = "GPU-01234567-89ab-cdef-0123-456789abcdef"
    real_output = report_archive.command_output
    monkeypatch.setattr(
        report_archive, "command_output", lambda command: f"{real_output(command)} {home}/x {uuid}"
    )
    report = tmp_path / "report.zip"
    main(["selftest", "--report", str(report)])
    archive = zipfile.ZipFile(report)
    texts = [archive.read(name).decode() for name in archive.namelist()]
    assert any("SCRATCH" in text for text in texts)
    project = str(Path(selftest_module.__file__).parents[2])
    for text in (*texts, *archive.namelist()):
        for private in ("jane", uuid, project):
            assert private not in text
        assert not re.search(rf"\b{re.escape(platform.node())}\b", text)
