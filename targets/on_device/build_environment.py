"""The facts about this machine that decide whether an earlier build is still valid."""

import dataclasses
from typing import Any

import onnxruntime as ort

from targets.catalogue.device_detection import this_gpu, this_jetson
from targets.catalogue.target_types import CpuTarget, JetsonTarget, Target
from targets.tensorrt.builders.choose import choose_builder
from targets.tensorrt.builders.trtexec import find_trtexec


def build_environment(target: Target) -> dict[str, Any]:
    """Return the facts that a build for a target depends on, as values for JSON.

    The key "untold" lists unknown facts. While there are any, a build must be repeated, because
    their changes go unnoticed.

    Args:
        target: What is compiled for.

    Raises:
        NoDeviceError: If this machine is not such a device.
        BuildError: If it has no TensorRT.
    """
    if isinstance(target, CpuTarget):
        return {"onnxruntime": ort.__version__, "untold": []}
    device = this_jetson() if isinstance(target, JetsonTarget) else this_gpu()
    trtexec = find_trtexec()
    builder = choose_builder(trtexec)
    versions = {"builder": list(builder.version), "trtexec": list(trtexec.version)}
    return {"device": dataclasses.asdict(device), **versions, "untold": list(device.unknown_facts)}
