"""What a Jetson is, read from files as devices have them and from what their commands print."""

import sys

import pytest

from targets.catalogue import device_detection as reading
from targets.catalogue.catalogue import find_target
from targets.catalogue.device_detection import (
    UNKNOWN,
    NoGpuError,
    NotAJetsonError,
    this_gpu,
    this_jetson,
)
from targets.on_device import preflight as looking
from targets.on_device.preflight import Check, is_ready, preflight
from tests.support.trtexec.install import install_trtexec_stand_in

RELEASES = {
    "32.7.1": "# R32 (release), REVISION: 7.1, GCID: 29689809, BOARD: t186ref, EABI: aarch64, "
    "DATE: Wed Feb  2 21:33:23 UTC 2022",
    "35.4.1": "# R35 (release), REVISION: 4.1, GCID: 33958178, BOARD: t186ref, EABI: aarch64, "
    "DATE: Tue Aug  1 19:57:35 UTC 2023",
    "36.4.3": "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64, "
    "DATE: Wed Jan  8 01:49:37 UTC 2025\n# KERNEL_VARIANT: oot\nTARGET_USERSPACE_LIB_DIR=nvidia",
    "39.2.0": "# R39 (release), REVISION: 2.0, GCID: 45755727, BOARD: generic, EABI: aarch64, "
    "DATE: Mon Jun  1 09:28:48 PM UTC 2026",
}

MODE = "NVPM WARN: fan mode is not set!\nNV Power Mode: {}\n0\n"

CLOCKS = """SOC family:tegra234  Machine:NVIDIA Jetson Orin Nano Developer Kit
Online CPUs: 0-5
cpu0:  Online=1 Governor=schedutil MinFreq=729600 MaxFreq=1510400 CurrentFreq=1510400
GPU MinFreq={0} MaxFreq=624750000 CurrentFreq={0}
Active GPU TPCs: 4
EMC MinFreq=204000000 MaxFreq=2133000000 CurrentFreq=2133000000 FreqOverride=0
"""


@pytest.fixture
def jetson(tmp_path, monkeypatch):
    """The files of a device, and what its commands print."""

    def _jetson(parts, l4t="36.4.3", cuda='{"cuda": {"version": "12.6.68"}}', mode="15W", clock=0):
        tree = tmp_path / "proc" / "device-tree"
        tree.mkdir(parents=True)
        (tree / "compatible").write_text("\0".join((*parts, "nvidia,tegra234", "")))
        (tmp_path / "etc").mkdir()
        (tmp_path / "etc" / "nv_tegra_release").write_text(RELEASES[l4t])
        toolkit = tmp_path / "usr" / "local" / "cuda"
        toolkit.mkdir(parents=True)
        name = "version.json" if cuda.startswith("{") else "version.txt"
        (toolkit / name).write_text(cuda)
        (tmp_path / "proc" / "meminfo").write_text("MemAvailable:    5000000 kB\n")
        printed = {
            "nvpmodel": MODE.format(mode),
            "jetson_clocks": CLOCKS.format(clock or 306000000),
        }
        for module in (reading, looking):
            monkeypatch.setattr(
                module, "command_output", lambda command: printed.get(command[0], "")
            )
        return tmp_path

    return _jetson


@pytest.mark.parametrize(
    ("parts", "l4t", "target", "jetpack"),
    [
        (("nvidia,p3768-0000+p3767-0005", "nvidia,p3767-0005"), "36.4.3", "orin-nano-8", "6.1"),
        (
            ("nvidia,p3768-0000+p3767-0005-super", "nvidia,p3767-0005"),
            "36.4.3",
            "orin-nano-super",
            "6.1",
        ),
        (("nvidia,p3768-0000+p3767-0000-super",), "39.2.0", "orin-nx-16-super", "7.2"),
        (("nvidia,p3767-0001",), "35.4.1", "orin-nx-8", "5.1"),
        (("nvidia,p3701-0004",), "36.4.3", "agx-orin-32", "6.1"),
        (("nvidia,p4071-0000+p3834-0008", "nvidia,p3834-0008"), "39.2.0", "thor-t5000", "7.2"),
        (("nvidia,p3509-0000+p3668-0000",), "32.7.1", "xavier-nx-8", "4.6.1"),
        (("nvidia,p3449-0000+p3448-0002",), "32.7.1", "nano", "4.6.1"),
    ],
)
def test_a_module_is_known_by_its_part_number(jetson, parts, l4t, target, jetpack):
    device = this_jetson(jetson(parts, l4t))
    assert (device.target, device.jetpack, device.l4t) == (target, jetpack, l4t)
    assert device.compute_capability == find_target(target).compute_capability
    assert (device.cuda, device.power_mode) == ("12.6.68", "15W")


def test_an_old_toolkit_tells_its_version_in_text(jetson):
    device = this_jetson(jetson(("nvidia,p3448-0000",), "32.7.1", cuda="CUDA Version 10.2.300\n"))
    assert device.cuda == "10.2.300"


def test_no_jetson(tmp_path):
    with pytest.raises(NotAJetsonError, match="no Jetson"):
        this_jetson(tmp_path)


def test_an_unknown_module_is_named(jetson):
    with pytest.raises(NotAJetsonError, match="p9999-0001"):
        this_jetson(jetson(("nvidia,p9999-0001",)))


def test_a_release_older_than_any_known_one(jetson):
    with pytest.raises(NotAJetsonError, match=r"L4T 32\.7\.1: older than any JetPack"):
        this_jetson(jetson(("nvidia,p3767-0005",), "32.7.1"))


@pytest.mark.parametrize("cuda", ["{", '{"cuda": 3}', "", None])
def test_what_a_device_does_not_tell_is_unknown(jetson, monkeypatch, cuda):
    root = jetson(("nvidia,p3767-0005",), cuda=cuda or "")
    if cuda is None:
        (root / "usr/local/cuda/version.txt").unlink()
    monkeypatch.setattr(reading, "command_output", lambda command: "")
    device = this_jetson(root)
    assert (device.cuda, device.power_mode) == (UNKNOWN, UNKNOWN)
    assert device.unknown_facts == ("cuda", "power_mode")
    checks = {check.name: check for check in preflight(find_target("orin-nano-8"), root, root)}
    for name in ("cuda", "power mode"):
        assert checks[name].state == "warning"
        assert "until then every engine is built again" in str(checks[name])


def test_a_device_that_tells_all_has_nothing_untold(jetson):
    assert this_jetson(jetson(("nvidia,p3767-0005",))).unknown_facts == ()


def test_commands_are_looked_for_where_a_service_does_not_look(monkeypatch, tmp_path):
    command = tmp_path / "sbin" / "nvpmodel"
    command.parent.mkdir()
    command.write_text("#!/bin/sh\necho NV Power Mode: 15W\n")
    command.chmod(0o755)
    monkeypatch.setenv("PATH", "/nowhere")
    assert reading.power_mode() == UNKNOWN
    assert {"/usr/sbin", "/sbin"} <= set(reading.SYSTEM_FOLDERS)
    monkeypatch.setattr(reading, "SYSTEM_FOLDERS", (str(command.parent),))
    assert reading.power_mode() == "15W"


def states(checks):
    return {check.name: check.state for check in checks}


def test_a_ready_device(jetson, monkeypatch, tmp_path):
    root = jetson(("nvidia,p3767-0005",), clock=624750000)
    install_trtexec_stand_in(monkeypatch, tmp_path, "10.3")
    checks = preflight(find_target("orin-nano-8"), tmp_path, root)
    assert is_ready(checks)
    assert set(states(checks).values()) == {"ok"}
    assert {"device", "trtexec", "power mode", "clocks", "memory", "disk"} <= states(checks).keys()


def test_the_wrong_device_is_an_error_and_names_the_right_target(jetson, tmp_path):
    root = jetson(("nvidia,p3767-0005",))
    (check,) = [
        c for c in preflight(find_target("orin-nx-16"), tmp_path, root) if c.name == "device"
    ]
    assert check.state == "error"
    assert "this is orin-nano-8, not orin-nx-16; use --target orin-nano-8" in str(check)


def test_what_is_missing_is_told_with_its_remedy(jetson, monkeypatch, tmp_path):
    root = jetson(("nvidia,p3767-0005",), mode="7W")
    (root / "proc" / "meminfo").write_text("MemAvailable:    500000 kB\n")
    monkeypatch.setenv("PATH", str(tmp_path))
    checks = {check.name: check for check in preflight(find_target("orin-nano-8"), tmp_path, root)}
    assert not is_ready(list(checks.values()))
    assert "install the package tensorrt" in str(checks["trtexec"])
    assert "the fastest is 15W" in str(checks["power mode"])
    assert "306 of 306 to 624 MHz; hold them: sudo jetson_clocks" in str(checks["clocks"])
    assert "0.5 GB free; a build wants 1.5 GB" in str(checks["memory"])


@pytest.mark.parametrize(
    ("line", "name", "capability", "has_int8"),
    [
        ("NVIDIA L4, 8.9, 560.35.03\n", "nvidia-l4", "8.9", True),
        ("NVIDIA GeForce GTX 1080, 6.1, 535.1\nNVIDIA L4, 8.9, 535.1", None, "6.1", True),
        ("Tesla P100-PCIE-16GB, 6.0, 535.1\n", "tesla-p100-pcie-16gb", "6.0", False),
    ],
)
def test_a_gpu_that_is_no_jetson(monkeypatch, tmp_path, line, name, capability, has_int8):
    monkeypatch.setattr(reading, "command_output", lambda command: line)
    gpu = this_gpu(tmp_path)
    assert gpu.target == (name or "nvidia-geforce-gtx-1080")
    assert (gpu.compute_capability, gpu.has_int8, gpu.opset) == (capability, has_int8, None)
    assert gpu.l4t.startswith("driver 5")


@pytest.mark.parametrize("line", ["", "No devices were found\n", "NVIDIA-SMI has failed, a, b\n"])
def test_without_a_gpu_it_is_one_line(monkeypatch, tmp_path, line):
    monkeypatch.setattr(reading, "command_output", lambda command: line)
    with pytest.raises(NoGpuError, match="tells of no GPU; install NVIDIA's driver"):
        this_gpu()
    check = next(check for check in preflight(None, tmp_path) if check.name == "gpu")
    assert str(check) == "error   gpu: nvidia-smi tells of no GPU; install NVIDIA's driver"


def test_a_gpu_has_neither_power_modes_nor_jetson_clocks(monkeypatch, tmp_path):
    monkeypatch.setattr(reading, "command_output", lambda command: "NVIDIA L4, 8.9, 560.35.03\n")
    names = [check.name for check in preflight(None, tmp_path)]
    assert names == ["gpu", "trtexec", "cuda", "memory", "disk"]


@pytest.mark.parametrize(
    ("trtexec", "state", "says"),
    [("10.3", "ok", "Python imports 10.3.0, which builds"), ("10.16", "warning", "trtexec builds")],
)
def test_two_tensorrts_are_told_and_which_of_them_builds(
    jetson, monkeypatch, tmp_path, trtexec, state, says
):
    root = jetson(("nvidia,p3767-0005",))
    install_trtexec_stand_in(monkeypatch, tmp_path, trtexec)
    imported = {sys.executable: "version 10.3.0"}
    monkeypatch.setattr(looking, "command_output", lambda command: imported.get(command[0], ""))
    found = preflight(find_target("orin-nano-8"), tmp_path, root)
    (check,) = [check for check in found if check.name == "tensorrt"]
    assert check.state == state
    assert says in check.found
    if state == "warning":
        assert "Python imports 10.3.0, trtexec is 10.16.0: trtexec builds" in str(check)
        assert "give it the system's TensorRT 10.16.0" in check.remedy


def test_the_missing_dla_library_is_diagnosed(jetson, monkeypatch, tmp_path):
    root = jetson(("nvidia,p3767-0005",))
    said = (
        "ImportError: libnvdla_compiler.so: cannot open shared object file: No such file or "
        "directory"
    )
    monkeypatch.setattr(
        looking, "command_output", lambda command: said if "python" in command[0] else ""
    )
    (check,) = [
        c for c in preflight(find_target("orin-nano-8"), tmp_path, root) if c.name == "tensorrt"
    ]
    assert check.state == "error"
    assert "install the package nvidia-l4t-dla-compiler" in str(check)


def test_a_check_is_one_line():
    assert str(Check("disk", "ok", "9.0 GB free", "unused")) == "ok      disk: 9.0 GB free"
    assert str(Check("disk", "error", "full", "free some")) == "error   disk: full; free some"
