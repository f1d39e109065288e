"""Measure the agreement with the teacher of the student's forms before it is compiled."""

import json
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import nn

from base.notify import Advance
from pipeline.quantization.fake_quantizers import restore, to_torch_quantizers
from pipeline.reporter import counting
from pipeline.roles import GRAPHS, QUANTIZED, QUANTIZERS
from pipeline.step_types import StepContext
from pipeline.teachers.networks import image_spec
from pipeline.teachers.step_inputs import open_student
from targets.bundle.golden import Golden
from targets.bundle.verdict import wilson
from targets.cpu.session import batch_size, open_session, predict_golden


def hop_agreements(context: StepContext, golden: Golden) -> dict[str, dict[str, Any]]:
    """Return the agreement of the float, the fake-quantized and the exported student.

    Args:
        context: The context of the step, with the student, its quantizers and its int8 graph.
        golden: The probes.

    Returns:
        `agreed` and `images` as counts, `agreement`, `low` and `high` as shares, 0 to 1, for each
        of "float", "fake-quantized" and "exported".
    """
    inputs, spec = context.inputs, image_spec(context.config.input)
    student = open_student(context)
    example = spec.normalise(torch.zeros(2, *spec.shape))
    description = json.loads(inputs[QUANTIZERS].read_text())
    restored = restore(student, example, description, load_file(inputs[QUANTIZED]))
    networks = {"float": student, "fake-quantized": to_torch_quantizers(restored)}
    logits = {}
    with counting(context.reporter, "hops", 3 * len(golden.pixels)) as advance:
        for name, network in networks.items():
            logits[name] = _predict(network, golden, advance)
        exported = open_session(inputs[GRAPHS["int8-cpu"]], optimized=False, threads=0)
        logits["exported"] = predict_golden(exported, golden, advance)
    confidence = context.config.gate.confidence
    return {name: _agreement(golden, answers, confidence) for name, answers in logits.items()}


@torch.no_grad()
def _predict(network: nn.Module, golden: Golden, advance: Advance) -> NDArray[np.float32]:
    """Return a network's logits (N, K) for the probes, on the CPU."""
    parts, size = [], batch_size(golden.pixels.shape)
    for start in range(0, len(golden.pixels), size):
        images = torch.from_numpy(golden.normalise(golden.pixels[start : start + size]))
        parts.append(network(images).numpy())
        advance(len(images))
    return np.concatenate(parts)


def _agreement(golden: Golden, logits: NDArray[np.float32], confidence: float) -> dict[str, Any]:
    same = logits.argmax(1) == golden.teacher_logits.argmax(1)
    agreed, images = int((same & np.isfinite(logits).all(1)).sum()), len(same)
    low, high = wilson(agreed, images, confidence)
    return {
        "agreed": agreed,
        "images": images,
        "agreement": agreed / images,
        "low": low,
        "high": high,
    }
