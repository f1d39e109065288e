"""Load a teacher from the bytes of its file, which holds a state dict or the network too."""

import hashlib
from dataclasses import dataclass

import torch
from safetensors.torch import save
from torch import nn

from base.errors import InputError
from dfkd.images import ImageSpec
from pipeline.config.network_sections import TeacherSection
from pipeline.teachers.fitting import fit_weights
from pipeline.teachers.graphs.loading import load_graph
from pipeline.teachers.loading import load_teacher, parse_weights, teacher_fingerprint
from pipeline.teachers.networks import logits_of_blank_image


@dataclass(frozen=True)
class LoadedTeacher:
    """A teacher and what was read from its file.

    Attributes:
        network: The network, frozen and in eval mode.
        fingerprint: sha256 of the network and its weights.
        content: The file for later steps: a state dict with the names of the network, or a graph.
        suffix: Suffix of this file.
        notes: What was found in the file and matters for the run, one line each.
    """

    network: nn.Module
    fingerprint: str
    content: bytes
    suffix: str
    notes: tuple[str, ...]


def load_teacher_file(
    content: bytes,
    section: TeacherSection,
    spec: ImageSpec,
    device: torch.device,
    *,
    compared: bool = True,
) -> LoadedTeacher:
    """Load a teacher and check it.

    Args:
        content: The bytes of the file.
        section: The run file's `teacher`.
        spec: The images.
        device: The device to put it on.
        compared: Whether to compare a network from a graph with ONNX Runtime.

    Raises:
        InputError: If the file cannot be used, or does not fit the run file.
    """
    if section.holds_network:
        return _from_graph(content, section, spec, device, compared=compared)
    state = parse_weights(content, section.weights, section.weights_key)
    network = load_teacher(section, spec, state, device)
    fitted = fit_weights(state, network.state_dict(), section)
    saved = {k: v.cpu().contiguous().clone() for k, v in network.state_dict().items()}
    fingerprint = teacher_fingerprint(section, fitted.state)
    return LoadedTeacher(network, fingerprint, save(saved), ".safetensors", fitted.notes)


def _from_graph(
    content: bytes,
    section: TeacherSection,
    spec: ImageSpec,
    device: torch.device,
    *,
    compared: bool,
) -> LoadedTeacher:
    made = load_graph(content, section, spec, compared=compared)
    network = made.network.eval().requires_grad_(False).to(device)
    label = f"teacher {section.weights}"
    logits = logits_of_blank_image(network, spec, section.classes, label)
    if not torch.isfinite(logits).all():
        raise InputError(f"{label}: its logits are NaN or infinite; check its weights")
    total = hashlib.sha256(f"onnx*{section.output}".encode() + made.onnx)
    return LoadedTeacher(network, total.hexdigest(), made.onnx, ".onnx", made.notes)
