"""The zip file of a selftest: facts, messages and logs, without anything that names the owner."""

import platform
import re
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort

from base.durable_files import replace_durably
from targets.catalogue.device_detection import command_output

REPORT_COMMANDS = (
    ("nvpmodel", "-q"),
    ("jetson_clocks", "--show"),
    ("dpkg-query", "-W", "tensorrt", "nvidia-jetpack", "nvidia-l4t-core"),
    ("uname", "-srvm"),
)
"""Commands whose output is part of the report; none of them prints a host name."""

REPORT_FILES = ("proc/device-tree/compatible", "proc/device-tree/model", "etc/nv_tegra_release")
"""Files that identify the module, even one that is not in the catalogue."""

EXCLUDED_SUFFIXES = (".engine", ".onnx", ".part", ".lock")
"""Large files that are useless on other machines."""

GPU_ID = re.compile(r"GPU-[0-9a-f]{8}-[0-9a-f-]+")


def system_facts() -> dict[str, Any]:
    """Return versions, command outputs and files that describe this machine."""
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


def build_texts(built: Path) -> dict[str, str]:
    """Return the text files that builds wrote, by their path relative to `built`."""
    return {
        str(path.relative_to(built)): path.read_text(errors="replace")
        for path in sorted(built.rglob("*"))
        if path.is_file() and path.suffix not in EXCLUDED_SUFFIXES
    }


def write_archive(texts: dict[str, str], scratch: Path, report: Path) -> None:
    """Write anonymized texts to a zip file.

    Args:
        texts: Texts by file name.
        scratch: The temporary folder of the selftest; its path is replaced.
        report: The zip file.

    Raises:
        OSError: If the file cannot be written.
    """
    temporary = report.with_name(f".{report.name}.part")
    try:
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, text in texts.items():
                archive.writestr(name, _anonymized(text, scratch))
        replace_durably(temporary, report)
    finally:
        temporary.unlink(missing_ok=True)


def _anonymized(text: str, scratch: Path) -> str:
    """Replace folders that can contain a user name, and the GPU's serial id."""
    project = Path(__file__).resolve().parents[2]
    folders = {scratch: "SCRATCH", project: "PROJECT", Path.home(): "~"}
    if sys.prefix != sys.base_prefix:
        folders[Path(sys.prefix)] = "VENV"
    for folder, name in folders.items():
        for spelling in {str(folder), str(folder.resolve())} - {"/"}:
            text = text.replace(spelling, name)
    return GPU_ID.sub("GPU-ID", text)


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError as error:
        return f"({error.strerror})"
