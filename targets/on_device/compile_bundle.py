"""Compile a bundle for a target on that target, from the command line or by a worker."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from base.durable_files import write_durably
from base.file_digest import file_digest
from base.file_lock import folder_lock
from base.notify import Notify
from targets.bundle.bundle_files import Manifest, open_bundle
from targets.bundle.golden import load_bundle_golden
from targets.catalogue.device_detection import this_gpu, this_jetson
from targets.catalogue.target_types import CpuTarget, GpuTarget, JetsonTarget, Target
from targets.cpu.compile import compile_for_cpu
from targets.on_device.build_environment import build_environment
from targets.on_device.engine_report import engine_report
from targets.on_device.preflight import is_ready, preflight
from targets.on_device.serving import remove_serving_files, write_serving_files
from targets.tensorrt.builders.choose import choose_builder
from targets.tensorrt.builders.trtexec import find_trtexec
from targets.tensorrt.dla.availability import check_dla
from targets.tensorrt.engine_pair import BuildContext, compile_engine_pair
from targets.tensorrt.options import UnsupportedError, default_workspace_mib

ENGINE_REPORT = "report.json"


class NotReadyError(RuntimeError):
    """The device is not ready to build; the preflight messages name the reasons."""


@dataclass(frozen=True)
class BuildRequest:
    """The engine to build; ignored for a CPU.

    Attributes:
        batch: The batch size to optimize for.
        workspace_mib: Scratch memory of the builder; None for a default that suits the device.
        dla_core: The accelerator to build for instead of the GPU; the output folder is then
            `built/TARGET-dlaCORE`.
    """

    batch: int = 1
    workspace_mib: int | None = None
    dla_core: int | None = None


def compile_bundle(folder: Path, target: Target, request: BuildRequest, notify: Notify) -> Path:
    """Compile a bundle's student for a target into the folder `built/TARGET` of the bundle.

    The bundle's own files do not change. The output has its own report.

    Args:
        folder: The bundle.
        target: The target; a Jetson or GPU must be this machine.
        request: The engine to build.
        notify: Receives progress messages.

    Returns:
        The output folder; its `report.json` is written last.

    Raises:
        BundleError: If the bundle is incomplete or damaged.
        NotReadyError: If the device cannot build.
        BuildError: If no engine could be built.
        UnsupportedError: If the accelerator does not exist or its TensorRT cannot use it.
        ParityError: If a graph compiled for a CPU predicts other classes.
    """
    manifest = open_bundle(folder)
    output = folder / "built" / target.name
    if request.dla_core is not None:
        output = output.with_name(f"{target.name}-dla{request.dla_core}")
    if isinstance(target, CpuTarget) and request.dla_core is not None:
        raise UnsupportedError(f"{target.name} is a CPU and has no accelerator; remove --dla-core")
    with folder_lock(output, notify):
        if isinstance(target, CpuTarget):
            _remove_earlier_build(output)
            report = _compile_for_cpu(folder, target, output, notify)
        else:
            report = _build_engines(folder, manifest, target, output, request, notify)
        document = {
            "bundle": manifest["bundle"],
            "target": target.name,
            **report,
            "machine": build_environment(target),
            "files": {path.name: file_digest(path) for path in _reported_files(output)},
        }
        write_durably(output / ENGINE_REPORT, json.dumps(document, indent=1) + "\n")
    return output


def _reported_files(output: Path) -> list[Path]:
    """Return all files but the logs of timing and inference, which are long and contain little."""
    files = [path for path in sorted(output.iterdir()) if path.is_file()]
    return [path for path in files if path.suffix != ".log" or path.match("build.*.log")]


def _remove_earlier_build(output: Path) -> None:
    """Make an earlier build invalid: remove its report and its serving files."""
    output.mkdir(parents=True, exist_ok=True)
    (output / ENGINE_REPORT).unlink(missing_ok=True)
    remove_serving_files(output)


def _compile_for_cpu(
    folder: Path, target: CpuTarget, output: Path, notify: Notify
) -> dict[str, Any]:
    graphs = {"fp32": "student.fp32.onnx", "int8": "student.int8-cpu.onnx"}
    exported = {precision: folder / "graphs" / name for precision, name in graphs.items()}
    compiled = compile_for_cpu(exported, load_bundle_golden(folder), target, output)
    notify(f"{target.name}: {compiled.summary}")
    return compiled.notes


def _build_engines(
    folder: Path,
    manifest: Manifest,
    target: JetsonTarget | GpuTarget,
    output: Path,
    request: BuildRequest,
    notify: Notify,
) -> dict[str, Any]:
    jetson = target if isinstance(target, JetsonTarget) else None
    checks = preflight(jetson, output)
    for check in checks:
        notify(str(check))
    if not is_ready(checks):
        failed = next(check for check in checks if check.state == "error")
        raise NotReadyError(f"not ready to build: {failed.found}; {failed.remedy}")
    gate = manifest["run"]["gate"]
    device = this_jetson() if jetson else this_gpu()
    trtexec = find_trtexec()
    builder = choose_builder(trtexec)
    if request.dla_core is not None:
        check_dla(jetson, device.jetpack, request.dla_core, builder.version)
    context = BuildContext(
        builder,
        trtexec,
        device,
        folder / "graphs",
        output,
        load_bundle_golden(folder),
        gate["agreement"],
        gate["confidence"],
        notify,
        request.dla_core,
    )
    _remove_earlier_build(output)
    memory_gb = jetson.memory_gb if jetson else None
    workspace_mib = request.workspace_mib or default_workspace_mib(memory_gb)
    checked, recommendation = compile_engine_pair(
        context, request.batch, workspace_mib, device.has_int8
    )
    report = engine_report(checked, recommendation, device, checks)
    notify(str(recommendation))
    if recommendation.precision is not None:
        write_serving_files(output, checked[recommendation.precision].engine, manifest)
    return report
