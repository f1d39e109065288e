"""The commands of `python -m targets`."""

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
from targets.on_device import build_environment as environment_module
from targets.on_device import compile_bundle as compile_module
from targets.on_device.preflight import Check
from targets.tensorrt import engine_check
from tests.support.interpreters import interpreter
from tests.support.quick_run import ROOT
from tests.support.trtexec.install import DEVICE, install_trtexec_stand_in


def run(*arguments, options=()):
    """Run the command in a new process; return exit code, stdout and stderr."""
    done = subprocess.run(
        [sys.executable, *options, "-m", "targets", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONWARNINGS": "error"},
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def test_missing_package_is_a_one_line_error():
    """-S hides all installed packages."""
    code, output, error = run("list", options=["-S"])
    assert (code, output) == (1, "")
    assert error.count("\n") == 1
    assert error.startswith("targets: needs numpy: pip install ")


def test_list_and_help_print_targets_and_examples():
    code, output, _ = run("list")
    assert code == 0
    assert "orin-nano-8 (orin-nano)" in output
    code, output, _ = run("--help")
    assert code == 0
    assert "python -m targets compile bundles/mnist-lenet5 --target orin-nano" in output


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_command_has_exit_codes_and_a_valid_example_in_its_help(name, capsys):
    with pytest.raises(SystemExit, match="0"):
        main([name, "--help"])
    shown = capsys.readouterr().out
    assert EXAMPLES[name] in shown
    assert "exit codes: 0 success; 1 an error" in shown
    words = EXAMPLES[name].split()
    assert words[:4] == ["python", "-m", "targets", name]
    assert callable(_parser().parse_args(words[3:]).command)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["show", "orinano"], 1, "unknown target 'orinano'; did you mean 'orin-nano'?"),
        (["lint", "nowhere.onnx"], 1, "nowhere.onnx"),
        (["compile", "no\nwhere\x1b", "--target", "local-cpu"], 1, r"no where\x1b: not a bundle"),
        (["compile", "nowhere", "--target", "local-cpu"], 1, "nowhere: not a bundle"),
        (["polish"], 64, "invalid choice: 'polish'"),
        (["compile", "nowhere"], 64, "--target"),
    ],
)
def test_error_is_one_line_with_a_conventional_exit_code(arguments, code, message, capsys):
    try:
        actual = main(arguments)
    except SystemExit as stopped:
        actual = stopped.code
    output = capsys.readouterr().err
    assert actual == code
    assert message in output
    assert output.count("\n") == 1 and output.startswith("targets: ")


def test_show_prints_the_target_card(capsys):
    assert main(["show", "nano"]) == 0
    assert capsys.readouterr().out == f"{target_card(find_target('nano'))}\n"


def set_device(monkeypatch, function, device):
    """Make this machine look like a device."""
    for module in (compile_module, environment_module):
        monkeypatch.setattr(module, function, lambda: device)


@pytest.fixture
def bundle(same_bundle, tmp_path):
    """Return a copy of a bundle to write into."""
    return shutil.copytree(same_bundle, tmp_path / "bundle")


def test_lint_and_roofline_accept_the_graphs_of_a_bundle(bundle, capsys):
    assert main(["lint", str(bundle / "graphs" / "student.int8.onnx")]) == 0
    assert "0 errors" in capsys.readouterr().out
    assert main(["roofline", str(bundle / "graphs" / "student.fp32.onnx")]) == 0
    output = capsys.readouterr().out
    assert "thor-t5000" in output and "Lower bounds, not latencies" in output
    one = ["roofline", str(bundle / "graphs" / "student.fp32.onnx"), "--target"]
    assert main([*one, "orin-nano"]) == 0
    output = capsys.readouterr().out
    assert "orin-nano-8  7W" in output and "thor-t5000" not in output
    assert main([*one, "local-cpu"]) == 1
    assert "local-cpu: its peak throughput is unknown" in capsys.readouterr().err


def test_compile_for_a_cpu_writes_a_report(bundle, capsys):
    assert main(["compile", str(bundle), "--target", "x86-avx2"]) == 0
    assert "x86-avx2: " in capsys.readouterr().out
    report = json.loads((bundle / "built" / "x86-avx2" / "report.json").read_text())
    assert report["int8"]["parity"] >= 0.995
    assert report["bundle"] == open_bundle(bundle)["bundle"]


def test_compile_twice_keeps_the_bundle_valid(bundle):
    for _ in range(2):
        assert main(["compile", str(bundle), "--target", "local-cpu"]) == 0


def test_compile_on_a_jetson_writes_engines_and_a_report(bundle, monkeypatch, tmp_path, capsys):
    install_trtexec_stand_in(monkeypatch, tmp_path, "10.3")
    monkeypatch.setenv("STANDIN_FP16_MS", "2.0")
    set_device(monkeypatch, "this_jetson", DEVICE)
    clocks = {"name": "clocks", "state": "ok", "found": "the GPU is locked at 624 MHz"}
    monkeypatch.setattr(compile_module, "preflight", lambda target, folder: [Check(**clocks)])
    assert main(["compile", str(bundle), "--target", "orin-nano"]) == 0
    assert "int8 is recommended: 2.00 times as fast as float16" in capsys.readouterr().out
    report = json.loads((bundle / "built" / "orin-nano-8" / "report.json").read_text())
    assert report["engine"] == "built" and report["recommended"] == "int8"
    assert report["device"]["power_mode"] == "15W"
    assert report["preflight"] == [{**clocks, "remedy": ""}]
    assert report["engines"]["int8"]["workspace_mib"] == 1024
    assert set(report["engines"]["int8"]["throttling"]) == {"over_current", "slowed_for_heat"}
    assert report["engines"]["int8"]["verdict"]["images"] == 2000
    assert {"student.int8.engine", "student.fp16.engine"} <= report["files"].keys()


@pytest.mark.parametrize(
    ("options", "mib"), [([], 512), (["--workspace", "64"], 64)], ids=["default", "chosen"]
)
def test_workspace_depends_on_the_device_or_the_option(bundle, monkeypatch, tmp_path, options, mib):
    install_trtexec_stand_in(monkeypatch, tmp_path, "8.2")
    nano = dataclasses.replace(
        DEVICE, target="nano", jetpack="4.6.1", opset=None, has_int8=False, cuda="10.2"
    )
    set_device(monkeypatch, "this_jetson", nano)
    monkeypatch.setattr(compile_module, "preflight", lambda target, folder: [])
    assert main(["compile", str(bundle), "--target", "nano", *options]) == 0
    assert f"--workspace={mib} " in (bundle / "built/nano/build.fp16.log").read_text()


def test_compile_for_the_local_gpu(bundle, monkeypatch, tmp_path, capsys):
    install_trtexec_stand_in(monkeypatch, tmp_path, "11.1")
    gpu = dataclasses.replace(DEVICE, target="nvidia-p100", jetpack="", opset=None, has_int8=False)
    set_device(monkeypatch, "this_gpu", gpu)
    monkeypatch.setattr(compile_module, "preflight", lambda target, folder: [])
    assert main(["compile", str(bundle), "--target", "local-gpu"]) == 0
    assert "fp16 is recommended: this device has no int8" in capsys.readouterr().out
    report = json.loads((bundle / "built" / "local-gpu" / "report.json").read_text())
    assert report["device"]["target"] == "nvidia-p100"


@pytest.mark.slow
def test_compile_for_a_dla(bundle, monkeypatch, tmp_path, capsys):
    install_trtexec_stand_in(monkeypatch, tmp_path, "8.5")
    nx = dataclasses.replace(DEVICE, target="orin-nx-16", jetpack="5.1", opset=17)
    set_device(monkeypatch, "this_jetson", nx)
    monkeypatch.setattr(compile_module, "preflight", lambda target, folder: [])
    command = ["compile", str(bundle), "--target", "orin-nx", "--batch", "500", "--dla-core"]
    assert main([*command, "1"]) == 0
    output = capsys.readouterr().out
    assert "1 subgraphs on the DLA, 1 layers on the GPU (SHUFFLE: flatten)" in output
    output = bundle / "built" / "orin-nx-16-dla1"
    report = json.loads((output / "report.json").read_text())
    assert report["engines"]["int8"]["verdict"]["images"] == 2000
    # The stand-in runs the lowered graph in float, whose predictions are close to int8's.
    assert 0.95 < report["engines"]["int8"]["same_answer_as_graph"]["share"] < 1
    assert "enable-dla=1\nuse-dla-core=1" in (output / "deepstream.txt").read_text()
    assert "kind: KIND_NVDLA device_id: 1" in (output / "config.pbtxt").read_text()
    assert "runtime.DLA_core = 1" in (output / "load.py").read_text()
    int8 = report["engines"]["int8"]
    assert (int8["dla_core"], int8["fell_back_to_gpu"]) == (1, ["SHUFFLE: flatten"])
    assert report["engines"]["fp16"]["same_answer_as_graph"]["share"] == 1
    assert main([*command, "2"]) == 1
    assert "orin-nx-16 has 2 accelerators, numbered from 0" in capsys.readouterr().err


def test_fixed_batch_limits_the_number_of_probes(bundle, monkeypatch, tmp_path, capsys):
    install_trtexec_stand_in(monkeypatch, tmp_path, "8.5")
    monkeypatch.setattr(engine_check, "MAX_INFERENCE_RUNS", 3)
    nx = dataclasses.replace(DEVICE, target="orin-nx-16", jetpack="5.1", opset=17)
    set_device(monkeypatch, "this_jetson", nx)
    monkeypatch.setattr(compile_module, "preflight", lambda target, folder: [])
    command = ["compile", str(bundle), "--target", "orin-nx", "--batch", "32", "--dla-core", "0"]
    assert main(command) == 0
    assert "on 96 probes" in capsys.readouterr().out


def test_failed_build_does_not_change_the_bundle(bundle, monkeypatch, tmp_path, capsys):
    install_trtexec_stand_in(monkeypatch, tmp_path, "8.5")
    monkeypatch.setenv("STANDIN_FAILS", "memory")
    set_device(monkeypatch, "this_jetson", DEVICE)
    monkeypatch.setattr(compile_module, "preflight", lambda target, folder: [])
    assert main(["compile", str(bundle), "--target", "orin-nano"]) == 1
    assert "out of memory while building the engine; stop" in capsys.readouterr().err
    assert not list(bundle.rglob("*.engine")) and not list(bundle.rglob("report.json"))


def test_compile_on_another_machine_names_the_problem(bundle, capsys):
    assert main(["compile", str(bundle), "--target", "orin-nano"]) == 1
    output = capsys.readouterr()
    assert "error   device: this machine is not a Jetson" in output.out
    assert "not ready to build" in output.err


OLD_PYTHONS = ("2.7", "3.6", "3.7", "3.8", "3.9")
"""JetPack 4 has 3.6, JetPack 5 has 3.8."""


@pytest.mark.parametrize("version", OLD_PYTHONS)
def test_old_python_gets_a_one_line_error_with_the_fix(version):
    python = interpreter(version)
    done = subprocess.run(
        [python, "-B", "-m", "targets", "list"], capture_output=True, cwd=ROOT, check=False
    )
    output = done.stderr.decode()
    assert (done.returncode, done.stdout) == (1, b"")
    assert output.startswith(f"targets: this is Python {version}, but 3.10 or newer is required; ")
    assert "docs/jetson.md" in output and output.count("\n") == 1


def test_package_init_parses_on_python_3_6():
    source = (ROOT / "targets" / "__init__.py").read_text()
    ast.parse(source, feature_version=(3, 6))
    assert "import sys" in source.splitlines()
    # feature_version does not reject f-string syntax that is newer than 3.6.
    assert not [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.JoinedStr)]
