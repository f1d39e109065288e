"""Everything this project would do on a device, tried on it, and one file to attach to a report."""

import dataclasses
import json
import platform
import re
import sys
import tempfile
import traceback
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort

from base.durable_files import replace_durably
from base.notify import Notify
from base.one_line import one_line
from targets.catalogue.catalogue import JetsonTarget, find_target
from targets.catalogue.device_detection import NoDeviceError, command_output, this_jetson
from targets.on_device.compile_bundle import BuildRequest, compile_bundle
from targets.on_device.preflight import preflight
from targets.selftest.sample_bundle import SHAPE, write_selftest_bundle
from targets.tensorrt.builders.choose import choose_builder
from targets.tensorrt.builders.trtexec import Trtexec, find_trtexec
from targets.tensorrt.diagnosis.failures import BuildError
from targets.tensorrt.dla.lowering import check_dla
from targets.tensorrt.options import (
    BuildFiles,
    Options,
    Precision,
    Shape,
    UnsupportedError,
    build_arguments,
    default_workspace_mib,
    graph_role,
    timing_arguments,
    typing_modes,
)

SELFTEST_OPSET = 13
"""The newest that every JetPack reads."""

DLA_BATCH = 50
"""For an accelerator, whose batch is fixed: all probes go through it in a few starts of trtexec."""

REPORT_COMMANDS = (
    ("nvpmodel", "-q"),
    ("jetson_clocks", "--show"),
    ("dpkg-query", "-W", "tensorrt", "nvidia-jetpack", "nvidia-l4t-core"),
    ("uname", "-srvm"),
)
"""What the report also holds of the device; nothing that names its owner, as a host name may."""

REPORT_FILES = ("proc/device-tree/compatible", "proc/device-tree/model", "etc/nv_tegra_release")
"""What tells which module it is, also one that the catalogue does not know."""

EXCLUDED_SUFFIXES = (".engine", ".onnx", ".part", ".lock")
"""Engines and graphs: large, and of no use elsewhere."""

GPU_ID = re.compile(r"GPU-[0-9a-f]{8}-[0-9a-f-]+")


def dry_run(notify: Notify) -> None:
    """Say what a selftest would do here: graphs it would build, commands it would run."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_selftest_bundle(folder / "bundle", SELFTEST_OPSET)
        forms = sorted(path.name for path in (folder / "bundle" / "graphs").iterdir())
    notify(f"graphs: {', '.join(forms)}")
    try:
        target = _this_target()
    except NoDeviceError as error:
        notify(f"{error}; what follows is for a device with int8")
        target = None
    try:
        trtexec = find_trtexec()
    except BuildError as error:
        notify(f"trtexec: {error}")
        notify("nothing would be built here")
        return
    if choose_builder(trtexec) is not trtexec:
        notify(
            "Python's TensorRT would build; the building commands are what trtexec would be told"
        )
    precisions: tuple[Precision, ...] = ("int8", "fp16")
    if target is not None and not target.has_int8:
        precisions = ("fp16",)
    typing = typing_modes(trtexec.version)[0]
    mib = default_workspace_mib(target.memory_gb if target else None)
    asked = [Options(precision, typing, workspace_mib=mib) for precision in precisions]
    if target is not None and _has_dla(target, trtexec.version, notify):
        batches = (DLA_BATCH, DLA_BATCH)
        asked += [Options(each, "weak", *batches, mib, dla_core=0) for each in precisions]
    for options in asked:
        _say_commands(trtexec, options, notify)


def _say_commands(trtexec: Trtexec, options: Options, notify: Notify) -> None:
    shape: Shape = (None if options.dla_core is None else options.batch, *SHAPE)
    places = BuildFiles(
        Path(f"student.{graph_role(options, trtexec.version)}.onnx"),
        Path(f"student.{options.precision}.engine"),
        *map(Path, ("timing.cache", "layers.json", "times.json")),
    )
    for arguments in (
        build_arguments(options, places, shape, trtexec.flags),
        timing_arguments(options, places, shape),
    ):
        notify(f"{options.precision}: {trtexec.path} {' '.join(arguments)}")


def run_selftest(report: Path, notify: Notify) -> bool:
    """Build, time and check a small network's engines on this device, for GPU and accelerator.

    Whatever goes wrong, the report is written, with all that was said.

    Args:
        report: The zip file to write; it holds logs, tables and versions, no engine.
        notify: Where to say what happens.

    Returns:
        Whether engines were built and agree.

    Raises:
        OSError: When the report cannot be written.
    """
    lines: list[str] = []

    def tell(line: str) -> None:
        lines.append(line)
        notify(line)

    with tempfile.TemporaryDirectory() as name:
        folder, passed = Path(name), False
        facts: dict[str, Any] = {"tracebacks": []}
        with _failures_into(facts, tell):
            passed = _tried(folder / "bundle", facts, tell)
        facts |= {"passed": passed, **_about_here()}
        texts = {"device.json": json.dumps(facts, indent=1), "said.txt": "\n".join(lines) + "\n"}
        _pack(texts | _built(folder / "bundle" / "built"), folder, report)
    notify(f"report: {report}")
    return passed


def _tried(bundle: Path, facts: dict[str, Any], notify: Notify) -> bool:
    """Whether all that could be built here was, and passed; what the device is, into `facts`."""
    device = this_jetson()
    facts["device"] = dataclasses.asdict(device)
    target = _this_target()
    facts["preflight"] = [str(check) for check in preflight(target, bundle)]
    write_selftest_bundle(bundle, SELFTEST_OPSET)
    wanted = [BuildRequest()]
    if _has_dla(target, choose_builder(find_trtexec()).version, notify):
        wanted.append(BuildRequest(batch=DLA_BATCH, dla_core=0))
    passed = 0
    for each in wanted:
        with _failures_into(facts, notify):
            place = compile_bundle(bundle, target, each, notify)
            outcome = json.loads((place / "report.json").read_text())
            passed += outcome["recommended"] is not None
    return passed == len(wanted)


@contextmanager
def _failures_into(facts: dict[str, Any], notify: Notify) -> Iterator[None]:
    """Go on after a failure of any kind: what nobody foresaw is what a report is for."""
    try:
        yield
    except Exception as error:
        notify(f"failed: {one_line(str(error)) or type(error).__name__}")
        facts["tracebacks"].append(traceback.format_exc().splitlines())


def _this_target() -> JetsonTarget:
    target = find_target(this_jetson().target)
    assert isinstance(target, JetsonTarget)
    return target


def _has_dla(target: JetsonTarget, version: tuple[int, ...], notify: Notify) -> bool:
    """Whether there is an accelerator that this TensorRT can use; why it is not tried, is said."""
    if not target.dla_cores:
        return False
    try:
        check_dla(target, this_jetson().jetpack, 0, version)
    except UnsupportedError as error:
        notify(f"the DLA is not tried: {error}")
        return False
    return True


def _about_here() -> dict[str, Any]:
    return {
        "versions": {
            "python": sys.version,
            "platform": platform.platform(),
            "numpy": np.__version__,
            "onnx": onnx.__version__,
            "onnxruntime": ort.__version__,
        },
        "commands": {" ".join(command): command_output(command) for command in REPORT_COMMANDS},
        "files": {name: _text(Path("/") / name) for name in REPORT_FILES},
    }


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError as error:
        return f"({error.strerror})"


def _built(built: Path) -> dict[str, str]:
    """What builds left, by its place under `built`."""
    return {
        str(path.relative_to(built)): path.read_text(errors="replace")
        for path in sorted(built.rglob("*"))
        if path.is_file() and path.suffix not in EXCLUDED_SUFFIXES
    }


def _pack(texts: dict[str, str], scratch: Path, report: Path) -> None:
    beside = report.with_name(f".{report.name}.part")
    try:
        with zipfile.ZipFile(beside, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, text in texts.items():
                archive.writestr(name, _unnamed(text, scratch))
        replace_durably(beside, report)
    finally:
        beside.unlink(missing_ok=True)


def _unnamed(text: str, scratch: Path) -> str:
    """A text without the folders that name its owner, and without the GPU's own number."""
    project = Path(__file__).resolve().parents[2]
    places = {scratch: "SCRATCH", project: "PROJECT", Path.home(): "~"}
    if sys.prefix != sys.base_prefix:
        places[Path(sys.prefix)] = "VENV"
    for place, name in places.items():
        for spelled in {str(place), str(place.resolve())} - {"/"}:
            text = text.replace(spelled, name)
    return GPU_ID.sub("GPU-ID", text)
