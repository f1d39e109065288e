"""A bundle made ready for a target, on that target: by hand, or by a worker."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from targets.bundle_files import Manifest, open_bundle
from targets.catalogue import CpuTarget, GpuTarget, JetsonTarget, Target
from targets.compile_cpu import compile_for_cpu
from targets.device import this_device
from targets.durable_files import file_digest, write_durably
from targets.engine_report import engine_report
from targets.golden import load_golden
from targets.preflight import preflight, ready, throttle_events
from targets.serving import write_serving
from targets.tensorrt.bindings import find_bindings
from targets.tensorrt.dla import check_dla
from targets.tensorrt.failures import BuildError, Failure
from targets.tensorrt.plan import UnsupportedError
from targets.tensorrt.trtexec import find_trtexec
from targets.tensorrt.twins import Bench, compile_twins

Say = Callable[[str], None]


REPORT = "report.json"


class NotReadyError(RuntimeError):
    """The device lacks something; what, has been said."""


def compile_bundle(
    folder: Path,
    target: Target,
    batch: int,
    workspace: int,
    say: Say,
    dla_core: int | None = None,
) -> Path:
    """Compile a bundle's student for a target, into a folder `built/TARGET` beside its files.

    The bundle itself stays as it is: what a device makes of it has a report of its own.

    Args:
        folder: The bundle.
        target: What it is compiled for: this machine, or for a CPU one of its kind.
        batch: Images at a time, to tune an engine for.
        workspace: Scratch memory of an engine's builder, in MiB.
        say: Where to say what happens.
        dla_core: An accelerator of the device, to build for in place of its GPU; what is made for
            it lies in `built/TARGET-dlaCORE`.

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
    if dla_core is not None:
        place = place.with_name(f"{target.name}-dla{dla_core}")
    place.mkdir(parents=True, exist_ok=True)
    (place / REPORT).unlink(missing_ok=True)
    if isinstance(target, CpuTarget):
        if dla_core is not None:
            raise UnsupportedError(f"{target.name} is a CPU; leave out --dla-core")
        report = _for_cpu(folder, target, place, say)
    else:
        report = _engines(folder, manifest, target, place, batch, workspace, say, dla_core)
    files = {
        path.name: file_digest(path)
        for path in sorted(place.iterdir())
        if path.is_file() and path.suffix not in (".log", ".cache")
    }
    document = {"bundle": manifest["bundle"], "target": target.name, **report, "files": files}
    write_durably(place / REPORT, json.dumps(document, indent=1) + "\n")
    return place


def _for_cpu(folder: Path, target: CpuTarget, place: Path, say: Say) -> dict[str, Any]:
    graphs = {"fp32": "student.fp32.onnx", "int8": "student.int8-cpu.onnx"}
    exported = {precision: folder / "graphs" / name for precision, name in graphs.items()}
    made = compile_for_cpu(exported, load_golden(folder / "golden.npz"), target, place)
    say(f"{target.name}: {made.said}")
    return made.notes


def _engines(
    folder: Path,
    manifest: Manifest,
    target: JetsonTarget | GpuTarget,
    place: Path,
    batch: int,
    workspace: int,
    say: Say,
    dla_core: int | None,
) -> dict[str, Any]:
    if isinstance(target, GpuTarget):
        raise BuildError(
            Failure(
                "not-here-yet",
                "engines for a GPU that is no Jetson are not built yet",
                "build with trtexec from graphs/ by hand",
            )
        )
    checks = preflight(target, place)
    for check in checks:
        say(str(check))
    if not ready(checks):
        missing = next(check for check in checks if check.state == "error")
        raise NotReadyError(f"not ready to build: {missing.found}; {missing.remedy}")
    gate = manifest["run"]["gate"]
    device = this_device()
    if dla_core is not None:
        jetpack = next(each for each in target.jetpacks if each.name == device.jetpack)
        check_dla(target, jetpack, dla_core)
    trtexec = find_trtexec()
    bench = Bench(
        find_bindings() or trtexec,
        trtexec,
        device,
        folder / "graphs",
        place,
        load_golden(folder / "golden.npz"),
        gate["agreement"],
        gate["confidence"],
        say,
        dla_core,
    )
    before = throttle_events()
    checked, advice = compile_twins(bench, batch, workspace, target.has_int8)
    report = engine_report(checked, advice, device, throttle_events() - before)
    if report["throttled"]:
        say(f"warning: throttled {report['throttled']} times while timing; use a stronger supply")
    say(f"recommended: {advice.precision} ({advice.because})")
    if advice.precision is not None:
        write_serving(place, checked[advice.precision].engine, manifest)
    return report
