"""Everything this project would do on a device, tried on it, and one file to attach to a report."""

import dataclasses
import json
import platform
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort

from targets.bundle_files import BundleError
from targets.catalogue import JetsonTarget, find
from targets.compile_bundle import NotReadyError, Wanted, compile_bundle
from targets.device import printed, this_device
from targets.durable_files import replace_durably
from targets.preflight import preflight
from targets.selftest_bundle import write_selftest_bundle
from targets.tensorrt.failures import BuildError
from targets.tensorrt.plan import (
    Options,
    Places,
    build_arguments,
    graph_role,
    time_arguments,
    typings,
)
from targets.tensorrt.trtexec import find_trtexec

Say = Callable[[str], None]

OPSET = 13
"""The newest that every JetPack reads."""

COMMANDS = (
    ("nvpmodel", "-q"),
    ("jetson_clocks", "--show"),
    ("dpkg-query", "-W", "tensorrt", "nvidia-jetpack", "nvidia-l4t-core"),
    ("uname", "-a"),
)
"""What the report also holds of the device; nothing that names its owner."""


def dry_run(say: Say) -> None:
    """Say what a selftest would do here: graphs it would build, commands it would run."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_selftest_bundle(folder / "bundle", OPSET)
        forms = sorted(path.name for path in (folder / "bundle" / "graphs").iterdir())
    say(f"graphs: {', '.join(forms)}")
    try:
        trtexec = find_trtexec()
    except BuildError as error:
        say(f"trtexec: {error}")
        say("nothing would be built here")
        return
    shape = (None, 3, 32, 32)
    for precision in ("int8", "fp16"):
        options = Options(precision, typings(trtexec.version)[0])
        role = graph_role(options, trtexec.version)
        places = Places(
            Path(f"student.{role}.onnx"),
            Path(f"student.{precision}.engine"),
            *map(Path, ("timing.cache", "layers.json", "times.json")),
        )
        for arguments in (
            build_arguments(options, places, shape, trtexec.flags),
            time_arguments(options, places, shape),
        ):
            say(f"{precision}: {trtexec.path} {' '.join(arguments)}")


def selftest(report: Path, say: Say) -> bool:
    """Build, time and check both engines of a small network on this device.

    Args:
        report: The zip file to write; it holds logs, tables and versions, no engine.
        say: Where to say what happens.

    Returns:
        Whether engines were built and agree.

    Raises:
        NotAJetsonError: When this is no device of the catalogue.
    """
    device = this_device()
    target = find(device.target)
    assert isinstance(target, JetsonTarget)
    lines: list[str] = []

    def tell(line: str) -> None:
        lines.append(line)
        say(line)

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_selftest_bundle(folder / "bundle", OPSET)
        passed = _tried(folder / "bundle", target, tell)
        built = folder / "bundle" / "built" / target.name
        built.mkdir(parents=True, exist_ok=True)
        facts = {
            "device": dataclasses.asdict(device),
            "preflight": [str(check) for check in preflight(target, built)],
            "versions": _versions(),
            "commands": {" ".join(command): printed(command) for command in COMMANDS},
            "passed": passed,
        }
        (built / "device.json").write_text(json.dumps(facts, indent=1))
        (built / "said.txt").write_text("\n".join(lines) + "\n")
        _pack(built, report)
    say(f"report: {report}")
    return passed


def _tried(bundle: Path, target: JetsonTarget, say: Say) -> bool:
    try:
        place = compile_bundle(bundle, target, Wanted(workspace_mib=512), say)
    except (BuildError, NotReadyError, BundleError) as error:
        say(f"failed: {error}")
        return False
    outcome = json.loads((place / "report.json").read_text())
    return outcome["recommended"] is not None


def _versions() -> dict[str, str]:
    return {
        "python": sys.version,
        "platform": platform.platform(),
        "numpy": np.__version__,
        "onnx": onnx.__version__,
        "onnxruntime": ort.__version__,
    }


def _pack(folder: Path, report: Path) -> None:
    """All but engines and caches, which are large and of no use elsewhere."""
    beside = report.with_name(f".{report.name}.part")
    with zipfile.ZipFile(beside, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.iterdir()):
            if path.suffix not in (".engine", ".cache"):
                archive.write(path, path.name)
    replace_durably(beside, report)
