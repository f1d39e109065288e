"""Preflight checks on file trees and command outputs like a Jetson's."""

import sys

import pytest

from targets.catalogue import device_detection
from targets.catalogue.catalogue import find_target
from targets.on_device import preflight as preflight_module
from targets.on_device.preflight import Check, is_ready, preflight
from tests.support.trtexec.install import install_trtexec_stand_in


def states(checks):
    return {check.name: check.state for check in checks}


def test_preflight_passes_on_a_ready_device(jetson, monkeypatch, tmp_path):
    root = jetson(("nvidia,p3767-0005",), clock_hz=624750000)
    install_trtexec_stand_in(monkeypatch, tmp_path, "10.3")
    checks = preflight(find_target("orin-nano-8"), tmp_path, root)
    assert is_ready(checks)
    assert set(states(checks).values()) == {"ok"}
    assert {"device", "trtexec", "power mode", "clocks", "memory", "disk"} <= states(checks).keys()


def test_preflight_names_the_target_of_a_wrong_device(jetson, tmp_path):
    root = jetson(("nvidia,p3767-0005",))
    (check,) = [
        c for c in preflight(find_target("orin-nx-16"), tmp_path, root) if c.name == "device"
    ]
    assert check.state == "error"
    assert "this is orin-nano-8, not orin-nx-16; use --target orin-nano-8" in str(check)


def test_preflight_names_every_problem_with_its_remedy(jetson, monkeypatch, tmp_path):
    root = jetson(("nvidia,p3767-0005",), mode="7W")
    (root / "proc" / "meminfo").write_text("MemAvailable:    500000 kB\n")
    monkeypatch.setenv("PATH", str(tmp_path))
    checks = {check.name: check for check in preflight(find_target("orin-nano-8"), tmp_path, root)}
    assert not is_ready(list(checks.values()))
    assert "install the package tensorrt" in str(checks["trtexec"])
    assert "the fastest is 15W" in str(checks["power mode"])
    assert "306 MHz, range 306 to 624 MHz; lock the clocks: sudo jetson_clocks" in str(
        checks["clocks"]
    )
    assert "0.5 GB free; a build needs 1.5 GB" in str(checks["memory"])


def test_preflight_of_a_gpu_skips_power_mode_and_clocks(monkeypatch, tmp_path):
    monkeypatch.setattr(
        device_detection, "command_output", lambda command: "NVIDIA L4, 8.9, 560.35.03\n"
    )
    names = [check.name for check in preflight(None, tmp_path)]
    assert names == ["gpu", "trtexec", "cuda", "memory", "disk"]


@pytest.mark.parametrize(
    ("trtexec", "state", "found"),
    [("10.3", "ok", "the Python bindings 10.3.0 build"), ("10.16", "warning", "trtexec builds")],
)
def test_preflight_names_the_tensorrt_that_builds(
    jetson, monkeypatch, tmp_path, trtexec, state, found
):
    root = jetson(("nvidia,p3767-0005",))
    install_trtexec_stand_in(monkeypatch, tmp_path, trtexec)
    imported = {sys.executable: "version 10.3.0"}
    monkeypatch.setattr(
        preflight_module, "command_output", lambda command: imported.get(command[0], "")
    )
    checks = preflight(find_target("orin-nano-8"), tmp_path, root)
    (check,) = [check for check in checks if check.name == "tensorrt"]
    assert check.state == state
    assert found in check.found
    if state == "warning":
        assert "Python imports 10.3.0, trtexec is 10.16.0: trtexec builds" in str(check)
        assert "install the system's TensorRT 10.16.0" in check.remedy


def test_preflight_diagnoses_a_missing_dla_library(jetson, monkeypatch, tmp_path):
    root = jetson(("nvidia,p3767-0005",))
    output = (
        "ImportError: libnvdla_compiler.so: cannot open shared object file: No such file or "
        "directory"
    )
    monkeypatch.setattr(
        preflight_module, "command_output", lambda command: output if "python" in command[0] else ""
    )
    (check,) = [
        c for c in preflight(find_target("orin-nano-8"), tmp_path, root) if c.name == "tensorrt"
    ]
    assert check.state == "error"
    assert "install the package nvidia-l4t-dla-compiler" in str(check)


def test_check_is_formatted_as_one_line():
    assert str(Check("disk", "ok", "9.0 GB free", "unused")) == "ok      disk: 9.0 GB free"
    assert str(Check("disk", "error", "full", "free some")) == "error   disk: full; free some"
