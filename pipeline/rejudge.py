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
    first = next(iter(manifest["targets"].values()))
    path = model or folder / first["int8"]["file"]
    gate = manifest["run"]["gate"]
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
    return judge(golden, logits, gate["agreement"], gate["confidence"])
