"""Judging a bundle again: the same probes and threshold, another machine or another model."""

from pathlib import Path

import numpy as np

from pipeline.errors import InputError
from targets.bundle_files import BundleError, Manifest
from targets.golden import golden_of
from targets.onnxruntime_cpu import ProviderError, answer_golden, open_session
from targets.verdict import Verdict, judge


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
    except (KeyError, TypeError, ValueError, AttributeError):
        raise InputError(f"{folder}: its manifest names no artifact or no threshold") from None
    if own not in manifest["files"]:
        raise InputError(f"{folder}: its manifest names a file that is not the bundle's: {own!r}")
    path = model or folder / own
    try:
        golden = golden_of(folder)
    except BundleError as error:
        raise InputError(str(error)) from None
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    try:
        logits = answer_golden(open_session(path), golden)
    except ProviderError:
        raise
    except Exception as error:  # ONNX Runtime's exceptions have no base of their own
        raise InputError(f"{path}: cannot be run ({str(error).splitlines()[0]})") from None
    if logits.shape != golden.teacher_logits.shape:
        raise InputError(
            f"{path}: answers with {logits.shape[1:]}, not {np.shape(golden.teacher_logits)[1:]}"
        )
    return judge(golden, logits, threshold, confidence)
