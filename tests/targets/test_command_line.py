"""`python -m targets` as a device runs it: in a process of its own."""

import ast
import dataclasses
import json
import os
import shutil
import subprocess
import sys

import pytest

from targets.bundle.bundle_files import open_bundle
from targets.catalogue.catalogue import find_target
from targets.catalogue.tables import target_card
from targets.command_line import EXAMPLES, _parser, main
from targets.on_device import compile_bundle as compiling
from targets.on_device.preflight import Check
from targets.tensorrt import engine_pair as twins
from tests.support.interpreters import interpreter
from tests.support.quick_run import ROOT
from tests.support.trtexec.install import DEVICE, install_trtexec_stand_in


def run(*arguments, options=()):
    """The exit code and all that was printed."""
    done = subprocess.run(
        [sys.executable, *options, "-m", "targets", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONWARNINGS": "error"},
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def test_without_what_it_needs():
    """-S leaves out all that is installed."""
    code, said, error = run("list", options=["-S"])
    assert (code, said) == (1, "")
    assert error.count("\n") == 1
    assert error.startswith("targets: needs numpy: pip install ")


def test_list_and_help():
    code, said, _ = run("list")
    assert code == 0
    assert "orin-nano-8 (orin-nano)" in said
    code, said, _ = run("--help")
    assert code == 0
    assert "python -m targets compile bundles/mnist-lenet5 --target orin-nano" in said


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_command_shows_an_example_that_it_would_take(name, capsys):
    with pytest.raises(SystemExit, match="0"):
        main([name, "--help"])
    assert EXAMPLES[name] in capsys.readouterr().out
    words = EXAMPLES[name].split()
    assert words[:4] == ["python", "-m", "targets", name]
    assert callable(_parser().parse_args(words[3:]).command)


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (["show", "orinano"], 1, "unknown target 'orinano'; did you mean 'orin-nano'?"),
        (["lint", "nowhere.onnx"], 1, "nowhere.onnx"),
        (["compile", "no\nwhere\x1b", "--target", "local-cpu"], 1, r"no where\x1b: no bundle"),
        (["compile", "nowhere", "--target", "local-cpu"], 1, "nowhere: no bundle"),
        (["polish"], 64, "invalid choice: 'polish'"),
        (["compile", "nowhere"], 64, "--target"),
    ],
)
def test_an_error_is_one_line_and_a_conventional_code(arguments, code, complaint, capsys):
    try:
        given = main(arguments)
    except SystemExit as stopped:
        given = stopped.code
    said = capsys.readouterr().err
    assert given == code
    assert complaint in said
    assert said.count("\n") == 1 and said.startswith("targets: ")


def test_show_tells_a_target(capsys):
    assert main(["show", "nano"]) == 0
    assert capsys.readouterr().out == f"{target_card(find_target('nano'))}\n"


@pytest.fixture
def bundle(same_bundle, tmp_path):
    """A copy to write into."""
    return shutil.copytree(same_bundle, tmp_path / "bundle")


def test_lint_and_roofline_of_a_real_bundle(bundle, capsys):
    assert main(["lint", str(bundle / "graphs" / "student.int8.onnx")]) == 0
    assert "0 errors" in capsys.readouterr().out
    assert main(["roofline", str(bundle / "graphs" / "student.fp32.onnx")]) == 0
    said = capsys.readouterr().out
    assert "thor-t5000" in said and "Floors, not latencies" in said
    one = ["roofline", str(bundle / "graphs" / "student.fp32.onnx"), "--target"]
    assert main([*one, "orin-nano"]) == 0
    said = capsys.readouterr().out
    assert "orin-nano-8  7W" in said and "thor-t5000" not in said
    assert main([*one, "local-cpu"]) == 1
    assert "local-cpu: no peak is known of it" in capsys.readouterr().err


def test_compile_for_this_cpu(bundle, capsys):
    assert main(["compile", str(bundle), "--target", "x86-avx2"]) == 0
    assert "x86-avx2: " in capsys.readouterr().out
    report = json.loads((bundle / "built" / "x86-avx2" / "report.json").read_text())
    assert report["int8"]["parity"] >= 0.995
    assert report["bundle"] == open_bundle(bundle)["bundle"]


def test_compile_for_what_the_run_compiled_for_leaves_the_bundle_whole(bundle):
    for _ in range(2):
        assert main(["compile", str(bundle), "--target", "local-cpu"]) == 0


def test_compile_on_a_device_leaves_engines_and_a_report(bundle, monkeypatch, tmp_path, capsys):
    install_trtexec_stand_in(monkeypatch, tmp_path, "10.3")
    monkeypatch.setenv("STANDIN_FP16_MS", "2.0")
    monkeypatch.setattr(compiling, "this_jetson", lambda: DEVICE)
    clocks = {"name": "clocks", "state": "ok", "found": "the GPU is held at 624 MHz"}
    monkeypatch.setattr(compiling, "preflight", lambda target, place: [Check(**clocks)])
    assert main(["compile", str(bundle), "--target", "orin-nano"]) == 0
    assert "recommended: int8 (2.00 times as fast as float16" in capsys.readouterr().out
    report = json.loads((bundle / "built" / "orin-nano-8" / "report.json").read_text())
    assert report["engine"] == "built" and report["recommended"] == "int8"
    assert report["device"]["power_mode"] == "15W"
    assert report["preflight"] == [{**clocks, "remedy": ""}]
    assert report["engines"]["int8"]["workspace_mib"] == 1024
    assert set(report["engines"]["int8"]["throttling"]) == {"over_current", "slowed_for_heat"}
    assert report["engines"]["int8"]["verdict"]["images"] == 2000
    assert {"student.int8.engine", "student.fp16.engine"} <= report["files"].keys()


@pytest.mark.parametrize(
    ("given", "mib"), [([], 512), (["--workspace", "64"], 64)], ids=["default", "wished"]
)
def test_a_small_device_builds_with_little_memory_unless_told_otherwise(
    bundle, monkeypatch, tmp_path, given, mib
):
    install_trtexec_stand_in(monkeypatch, tmp_path, "8.2")
    nano = dataclasses.replace(
        DEVICE, target="nano", jetpack="4.6.1", opset=None, has_int8=False, cuda="10.2"
    )
    monkeypatch.setattr(compiling, "this_jetson", lambda: nano)
    monkeypatch.setattr(compiling, "preflight", lambda target, place: [])
    assert main(["compile", str(bundle), "--target", "nano", *given]) == 0
    assert f"--workspace={mib} " in (bundle / "built/nano/build.fp16.log").read_text()


def test_compile_for_the_gpu_of_this_machine(bundle, monkeypatch, tmp_path, capsys):
    install_trtexec_stand_in(monkeypatch, tmp_path, "11.1")
    gpu = dataclasses.replace(DEVICE, target="nvidia-p100", jetpack="", opset=None, has_int8=False)
    monkeypatch.setattr(compiling, "this_gpu", lambda: gpu)
    monkeypatch.setattr(compiling, "preflight", lambda target, place: [])
    assert main(["compile", str(bundle), "--target", "local-gpu"]) == 0
    assert "recommended: fp16 (this device has no int8)" in capsys.readouterr().out
    report = json.loads((bundle / "built" / "local-gpu" / "report.json").read_text())
    assert report["device"]["target"] == "nvidia-p100"


def test_compile_for_an_accelerator(bundle, monkeypatch, tmp_path, capsys):
    install_trtexec_stand_in(monkeypatch, tmp_path, "8.5")
    nx = dataclasses.replace(DEVICE, target="orin-nx-16", jetpack="5.1", opset=17)
    monkeypatch.setattr(compiling, "this_jetson", lambda: nx)
    monkeypatch.setattr(compiling, "preflight", lambda target, place: [])
    command = ["compile", str(bundle), "--target", "orin-nx", "--batch", "50", "--dla-core"]
    assert main([*command, "1"]) == 0
    said = capsys.readouterr().out
    assert "1 pieces on the DLA, 1 layers on the GPU (SHUFFLE: flatten)" in said
    place = bundle / "built" / "orin-nx-16-dla1"
    report = json.loads((place / "report.json").read_text())
    assert report["engines"]["int8"]["verdict"]["images"] == 2000
    # The stand-in computes the lowered graph in float, which answers almost as int8 does.
    assert 0.95 < report["engines"]["int8"]["same_answer_as_graph"]["share"] < 1
    assert "enable-dla=1\nuse-dla-core=1" in (place / "deepstream.txt").read_text()
    assert "kind: KIND_NVDLA device_id: 1" in (place / "config.pbtxt").read_text()
    assert "runtime.DLA_core = 1" in (place / "load.py").read_text()
    int8 = report["engines"]["int8"]
    assert (int8["dla_core"], int8["fell_back_to_gpu"]) == (1, ["SHUFFLE: flatten"])
    assert report["engines"]["fp16"]["same_answer_as_graph"]["share"] == 1
    assert main([*command, "2"]) == 1
    assert "orin-nx-16 has 2 accelerators, from 0" in capsys.readouterr().err


def test_an_engine_of_a_fixed_batch_is_judged_on_what_time_allows(
    bundle, monkeypatch, tmp_path, capsys
):
    install_trtexec_stand_in(monkeypatch, tmp_path, "8.5")
    monkeypatch.setattr(twins, "MAX_INFERENCE_RUNS", 3)
    nx = dataclasses.replace(DEVICE, target="orin-nx-16", jetpack="5.1", opset=17)
    monkeypatch.setattr(compiling, "this_jetson", lambda: nx)
    monkeypatch.setattr(compiling, "preflight", lambda target, place: [])
    command = ["compile", str(bundle), "--target", "orin-nx", "--batch", "32", "--dla-core", "0"]
    assert main(command) == 0
    assert "on 96 probes" in capsys.readouterr().out


def test_a_build_that_fails_leaves_the_bundle_as_it_was(bundle, monkeypatch, tmp_path, capsys):
    install_trtexec_stand_in(monkeypatch, tmp_path, "8.5")
    monkeypatch.setenv("STANDIN_FAILS", "memory")
    monkeypatch.setattr(compiling, "this_jetson", lambda: DEVICE)
    monkeypatch.setattr(compiling, "preflight", lambda target, place: [])
    assert main(["compile", str(bundle), "--target", "orin-nano"]) == 1
    assert "memory ran out while the engine was built; stop" in capsys.readouterr().err
    assert not list(bundle.rglob("*.engine")) and not list(bundle.rglob("report.json"))


def test_a_machine_that_is_no_jetson_is_told_so(bundle, capsys):
    assert main(["compile", str(bundle), "--target", "orin-nano"]) == 1
    said = capsys.readouterr()
    assert "error   device: this machine is no Jetson" in said.out
    assert "not ready to build" in said.err


OLD = ("2.7", "3.6", "3.7", "3.8", "3.9")
"""JetPack 4 has 3.6, JetPack 5 has 3.8."""


@pytest.mark.parametrize("version", OLD)
def test_a_python_too_old_is_told_what_helps_in_one_line(version):
    python = interpreter(version)
    done = subprocess.run(
        [python, "-B", "-m", "targets", "list"], capture_output=True, cwd=ROOT, check=False
    )
    said = done.stderr.decode()
    assert (done.returncode, done.stdout) == (1, b"")
    assert said.startswith(f"targets: this is Python {version}, and 3.10 or newer is needed; ")
    assert "targets/README.md" in said and said.count("\n") == 1


def test_what_an_old_python_reads_first_it_can_parse():
    source = (ROOT / "targets" / "__init__.py").read_text()
    ast.parse(source, feature_version=(3, 6))
    assert "import sys" in source.splitlines()
    # f-strings with what 3.6 lacks, and all that feature_version lets pass, would show here.
    assert not [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.JoinedStr)]
