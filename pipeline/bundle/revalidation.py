"""Validate a bundle again, on this machine or with another model."""

from pathlib import Path

import numpy as np

from base.errors import InputError, first_line
from base.notify import Counting, not_counted
from base.untrusted_files import PARSE_ERRORS
from targets.bundle.bundle_files import BundleError, Manifest
from targets.bundle.golden import load_bundle_golden
from targets.bundle.verdict import Verdict, judge
from targets.cpu.session import open_session, predict_golden
from targets.graph.graph_file import read_graph


def revalidate(
    folder: Path, manifest: Manifest, model: Path | None, counting: Counting = not_counted
) -> Verdict:
    """Compare a model with the teacher on the bundle's probes, with the bundle's threshold.

    Args:
        folder: The bundle's folder.
        manifest: The bundle's manifest.
        model: An ONNX file, or None for the int8 model of the bundle's first target.
        counting: Shows the progress.

    Raises:
        InputError: If the bundle has no model or no probes, or if the model cannot be read or does
            not take the bundle's images.
    """
    if not manifest["targets"]:
        raise InputError(
            f"{folder}: holds no model to validate: below 8 bits nothing is exported; "
            "run again with 8 bits"
        )
    try:
        own_model = next(iter(manifest["targets"].values()))["int8"]["file"]
        gate = manifest["run"]["gate"]
        threshold, confidence = float(gate["agreement"]), float(gate["confidence"])
        valid = own_model in manifest["files"] and 0 < threshold < 1 and 0 < confidence < 1
    except PARSE_ERRORS:
        valid = False
    if not valid:
        raise InputError(
            f"{folder}: its manifest names no int8 model, or has no valid agreement and confidence "
            "in its gate; run again"
        )
    path = model or folder / own_model
    if not path.is_file():
        raise InputError(f"{path}: no such file; give an ONNX file with --model")
    try:
        golden = load_bundle_golden(folder)
    except BundleError as error:
        raise InputError(str(error)) from None
    try:
        read_graph(path)
        with counting("validate", len(golden.pixels)) as advance:
            logits = predict_golden(open_session(path, threads=0), golden, advance)
        shape, is_floating = logits.shape, np.issubdtype(logits.dtype, np.floating)
    except Exception as error:  # ONNX Runtime's exceptions have no common base class.
        raise InputError(f"{path}: cannot be run ({first_line(error)}); export it again") from None
    if shape != golden.teacher_logits.shape or not is_floating:
        raise InputError(
            f"{path}: returns {logits.dtype} {shape[1:]} for an image, but the teacher returns "
            f"{golden.teacher_logits.dtype} {golden.teacher_logits.shape[1:]}; give a model of "
            "this bundle"
        )
    return judge(golden, logits, threshold, confidence)
