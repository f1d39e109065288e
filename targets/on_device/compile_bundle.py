"""A bundle made ready for a target, on that target: by hand, or by a worker."""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnxruntime as ort

from base.durable_files import write_durably
from base.file_digest import file_digest
from base.file_lock import folder_lock
from base.notify import Notify
from targets.bundle.bundle_files import Manifest, open_bundle
from targets.bundle.golden import load_bundle_golden
from targets.catalogue.catalogue import CpuTarget, GpuTarget, JetsonTarget, Target
from targets.catalogue.device_detection import this_gpu, this_jetson
from targets.cpu.compile import compile_for_cpu
from targets.on_device.engine_report import engine_report
from targets.on_device.preflight import is_ready, preflight
from targets.on_device.serving import remove_serving_files, write_serving_files
from targets.tensorrt.builders.choose import choose_builder
from targets.tensorrt.builders.trtexec import find_trtexec
from targets.tensorrt.dla.lowering import check_dla
from targets.tensorrt.engine_pair import BuildContext, compile_engine_pair
from targets.tensorrt.options import UnsupportedError, default_workspace_mib

ENGINE_REPORT = "report.json"


class NotReadyError(RuntimeError):
    """The device lacks something; what, has been said."""


@dataclass(frozen=True)
class BuildRequest:
    """What an engine is to be; a CPU takes none of it.

    Attributes:
        batch: Images at a time, to tune for.
        workspace_mib: Scratch memory of the builder; None for what suits the target's memory.
        dla_core: An accelerator of the device, to build for in place of its GPU; what is made for
            it lies in `built/TARGET-dlaCORE`.
    """

    batch: int = 1
    workspace_mib: int | None = None
    dla_core: int | None = None


def compile_bundle(folder: Path, target: Target, wanted: BuildRequest, notify: Notify) -> Path:
    """Compile a bundle's student for a target, into a folder `built/TARGET` beside its files.

    The bundle itself stays as it is: what a device makes of it has a report of its own.

    Args:
        folder: The bundle.
        target: What it is compiled for: this machine, or for a CPU one of its kind.
        wanted: What an engine is to be.
        notify: Where to say what happens.

    Returns:
        The folder with what was made; `report.json` in it is written last.

    Raises:
        BundleError: When it is no whole bundle.
        NotReadyError: When the device cannot build.
        BuildError: When there is no engine in the end.
        UnsupportedError: When it has no such accelerator, or its TensorRT cannot use it.
        ParityError: When a graph compiled for a CPU does not mean the same.
    """
    manifest = open_bundle(folder)
    place = folder / "built" / target.name
    if wanted.dla_core is not None:
        place = place.with_name(f"{target.name}-dla{wanted.dla_core}")
    if isinstance(target, CpuTarget) and wanted.dla_core is not None:
        raise UnsupportedError(f"{target.name} is a CPU; leave out --dla-core")
    with folder_lock(place, notify):
        if isinstance(target, CpuTarget):
            _begin(place)
            report = _for_cpu(folder, target, place, notify)
        else:
            report = _engines(folder, manifest, target, place, wanted, notify)
        document = {
            "bundle": manifest["bundle"],
            "target": target.name,
            **report,
            "machine": build_environment(target),
            "files": {path.name: file_digest(path) for path in _going_with(place)},
        }
        write_durably(place / ENGINE_REPORT, json.dumps(document, indent=1) + "\n")
    return place


def build_environment(target: Target) -> dict[str, Any]:
    """What of this machine a build for a target depends on: another machine, another build.

    What it does not tell stands under `untold`; nobody would see that change.

    Raises:
        NoDeviceError: When this machine is no such device.
        BuildError: When it has no TensorRT.
    """
    if isinstance(target, CpuTarget):
        return {"onnxruntime": ort.__version__, "untold": []}
    device = this_jetson() if isinstance(target, JetsonTarget) else this_gpu()
    trtexec = find_trtexec()
    builder = choose_builder(trtexec)
    versions = {"builder": list(builder.version), "trtexec": list(trtexec.version)}
    return {"device": dataclasses.asdict(device), **versions, "untold": list(device.unknown_facts)}


def _going_with(place: Path) -> list[Path]:
    """What was built, and the log of that; those of timing and answering say little, at length."""
    files = [path for path in sorted(place.iterdir()) if path.is_file()]
    return [path for path in files if path.suffix != ".log" or path.match("build.*.log")]


def _begin(place: Path) -> None:
    """From here on an earlier build is none any more."""
    place.mkdir(parents=True, exist_ok=True)
    (place / ENGINE_REPORT).unlink(missing_ok=True)
    remove_serving_files(place)


def _for_cpu(folder: Path, target: CpuTarget, place: Path, notify: Notify) -> dict[str, Any]:
    graphs = {"fp32": "student.fp32.onnx", "int8": "student.int8-cpu.onnx"}
    exported = {precision: folder / "graphs" / name for precision, name in graphs.items()}
    made = compile_for_cpu(exported, load_bundle_golden(folder), target, place)
    notify(f"{target.name}: {made.summary}")
    return made.notes


def _engines(
    folder: Path,
    manifest: Manifest,
    target: JetsonTarget | GpuTarget,
    place: Path,
    wanted: BuildRequest,
    notify: Notify,
) -> dict[str, Any]:
    jetson = target if isinstance(target, JetsonTarget) else None
    checks = preflight(jetson, place)
    for check in checks:
        notify(str(check))
    if not is_ready(checks):
        missing = next(check for check in checks if check.state == "error")
        raise NotReadyError(f"not ready to build: {missing.found}; {missing.remedy}")
    gate = manifest["run"]["gate"]
    device = this_jetson() if jetson else this_gpu()
    trtexec = find_trtexec()
    builder = choose_builder(trtexec)
    if wanted.dla_core is not None:
        check_dla(jetson, device.jetpack, wanted.dla_core, builder.version)
    bench = BuildContext(
        builder,
        trtexec,
        device,
        folder / "graphs",
        place,
        load_bundle_golden(folder),
        gate["agreement"],
        gate["confidence"],
        notify,
        wanted.dla_core,
    )
    _begin(place)
    workspace = wanted.workspace_mib or default_workspace_mib(jetson.memory_gb if jetson else None)
    checked, advice = compile_engine_pair(bench, wanted.batch, workspace, device.has_int8)
    report = engine_report(checked, advice, device, checks)
    notify(f"recommended: {advice.precision} ({advice.because})")
    if advice.precision is not None:
        write_serving_files(place, checked[advice.precision].engine, manifest)
    return report
