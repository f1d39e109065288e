"""Device detection on file trees and command outputs like a Jetson's."""

import pytest

from targets.catalogue import device_detection
from targets.catalogue.catalogue import find_target
from targets.catalogue.device_detection import (
    UNKNOWN,
    NoGpuError,
    NotAJetsonError,
    this_gpu,
    this_jetson,
)
from targets.on_device.preflight import preflight


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
def test_this_jetson_identifies_a_module_by_its_part_number(jetson, parts, l4t, target, jetpack):
    device = this_jetson(jetson(parts, l4t))
    assert (device.target, device.jetpack, device.l4t) == (target, jetpack, l4t)
    assert device.compute_capability == find_target(target).compute_capability
    assert (device.cuda, device.power_mode) == ("12.6.68", "15W")


def test_this_jetson_reads_the_text_version_file_of_old_cuda(jetson):
    device = this_jetson(jetson(("nvidia,p3448-0000",), "32.7.1", cuda="CUDA Version 10.2.300\n"))
    assert device.cuda == "10.2.300"


def test_this_jetson_refuses_another_machine(tmp_path):
    with pytest.raises(NotAJetsonError, match="this machine is not a Jetson"):
        this_jetson(tmp_path)


def test_this_jetson_names_the_part_number_of_an_unknown_module(jetson):
    with pytest.raises(NotAJetsonError, match="p9999-0001"):
        this_jetson(jetson(("nvidia,p9999-0001",)))


def test_this_jetson_refuses_a_release_older_than_the_catalogue(jetson):
    with pytest.raises(NotAJetsonError, match=r"L4T 32\.7\.1: older than every JetPack"):
        this_jetson(jetson(("nvidia,p3767-0005",), "32.7.1"))


@pytest.mark.parametrize("cuda", ["{", '{"cuda": 3}', "", None])
def test_unreported_facts_are_unknown_and_warned_about(jetson, monkeypatch, cuda):
    root = jetson(("nvidia,p3767-0005",), cuda=cuda or "")
    if cuda is None:
        (root / "usr/local/cuda/version.txt").unlink()
    monkeypatch.setattr(device_detection, "command_output", lambda command: "")
    device = this_jetson(root)
    assert (device.cuda, device.power_mode) == (UNKNOWN, UNKNOWN)
    assert device.unknown_facts == ("cuda", "power_mode")
    checks = {check.name: check for check in preflight(find_target("orin-nano-8"), root, root)}
    for name in ("cuda", "power mode"):
        assert checks[name].state == "warning"
        assert "until then every build starts from scratch" in str(checks[name])


def test_a_device_that_reports_everything_has_no_unknown_facts(jetson):
    assert this_jetson(jetson(("nvidia,p3767-0005",))).unknown_facts == ()


def test_command_output_searches_system_folders_missing_from_the_path(monkeypatch, tmp_path):
    command = tmp_path / "sbin" / "nvpmodel"
    command.parent.mkdir()
    command.write_text("#!/bin/sh\necho NV Power Mode: 15W\n")
    command.chmod(0o755)
    monkeypatch.setenv("PATH", "/nowhere")
    assert device_detection.power_mode() == UNKNOWN
    assert {"/usr/sbin", "/sbin"} <= set(device_detection.SYSTEM_FOLDERS)
    monkeypatch.setattr(device_detection, "SYSTEM_FOLDERS", (str(command.parent),))
    assert device_detection.power_mode() == "15W"


@pytest.mark.parametrize(
    ("line", "name", "capability", "has_int8"),
    [
        ("NVIDIA L4, 8.9, 560.35.03\n", "nvidia-l4", "8.9", True),
        ("NVIDIA GeForce GTX 1080, 6.1, 535.1\nNVIDIA L4, 8.9, 535.1", None, "6.1", True),
        ("Tesla P100-PCIE-16GB, 6.0, 535.1\n", "tesla-p100-pcie-16gb", "6.0", False),
    ],
)
def test_this_gpu_reads_name_capability_and_int8_support(
    monkeypatch, tmp_path, line, name, capability, has_int8
):
    monkeypatch.setattr(device_detection, "command_output", lambda command: line)
    gpu = this_gpu(tmp_path)
    assert gpu.target == (name or "nvidia-geforce-gtx-1080")
    assert (gpu.compute_capability, gpu.has_int8, gpu.opset) == (capability, has_int8, None)
    assert gpu.l4t.startswith("driver 5")


@pytest.mark.parametrize("line", ["", "No devices were found\n", "NVIDIA-SMI has failed, a, b\n"])
def test_this_gpu_and_preflight_report_a_missing_gpu(monkeypatch, tmp_path, line):
    monkeypatch.setattr(device_detection, "command_output", lambda command: line)
    with pytest.raises(NoGpuError, match="reports no GPU; install NVIDIA's driver"):
        this_gpu()
    check = next(check for check in preflight(None, tmp_path) if check.name == "gpu")
    assert str(check) == "error   gpu: nvidia-smi reports no GPU; install NVIDIA's driver"
