"""Judging a bundle again: the same probes and threshold, another machine or another model."""

from pathlib import Path

import numpy as np

from base.errors import InputError, first_line
from base.untrusted_files import PARSE_ERRORS
from targets.bundle.bundle_files import BundleError, Manifest
from targets.bundle.golden import load_bundle_golden
from targets.bundle.verdict import Verdict, judge
from targets.cpu.session import open_session, predict_golden
from targets.graph.graph_file import read_graph


def rejudge(folder: Path, manifest: Manifest, model: Path | None) -> Verdict:
    """The verdict on the bundle's first target's int8 model, or on another ONNX file.

    Raises:
        InputError: When the model cannot be read or does not take the bundle's images, or the
            bundle holds none.
    """
    if not manifest["targets"]:
        raise InputError(f"{folder}: holds no compiled artifact, below 8 bits nothing is exported")
    try:
        own = next(iter(manifest["targets"].values()))["int8"]["file"]
        gate = manifest["run"]["gate"]
        threshold, confidence = float(gate["agreement"]), float(gate["confidence"])
        known = own in manifest["files"] and 0 < threshold < 1 and 0 < confidence < 1
    except PARSE_ERRORS:
        known = False
    if not known:
        raise InputError(f"{folder}: its manifest names no artifact of its own, or no threshold")
    path = model or folder / own
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    try:
        golden = load_bundle_golden(folder)
    except BundleError as error:
        raise InputError(str(error)) from None
    try:
        read_graph(path)
        logits = predict_golden(open_session(path), golden)
        shape, numbers = logits.shape, np.issubdtype(logits.dtype, np.floating)
    except Exception as error:  # ONNX Runtime's exceptions have no base of their own
        raise InputError(f"{path}: cannot be run ({first_line(error)})") from None
    if shape != golden.teacher_logits.shape or not numbers:
        raise InputError(
            f"{path}: answers with {logits.dtype} {shape[1:]}, "
            f"not {golden.teacher_logits.dtype} {golden.teacher_logits.shape[1:]}"
        )
    return judge(golden, logits, threshold, confidence)
