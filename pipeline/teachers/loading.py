"""Load a teacher: parse its weights and put them into a frozen network."""

import hashlib
import json

import torch
from torch import nn

from base.errors import InputError
from dfkd.images import ImageSpec
from dfkd.models.state_dicts import load_state
from pipeline.config.architecture_names import code_version
from pipeline.config.network_sections import TeacherSection
from pipeline.teachers.checkpoint import open_checkpoint
from pipeline.teachers.fitting import fit_weights
from pipeline.teachers.networks import build_section, logits_of_blank_image
from pipeline.teachers.state_dicts import StateDict, choose_state_dict


def parse_weights(content: bytes, url: str, key: str | None = None) -> StateDict:
    """Read a state dict from the bytes of a weights file. No code in the file is run.

    Args:
        content: The bytes of a safetensors file, or of a file written by `torch.save`.
        url: The file's path or URL, for its suffix and for error messages.
        key: Which state dict to read if the file holds several; as in `choose_state_dict`.

    Raises:
        InputError: If the file is damaged, needs to run code, or holds no state dict; or if it
            holds several and `key` names none of them.
    """
    return choose_state_dict(open_checkpoint(content, url), key, url)


def load_teacher(
    section: TeacherSection, spec: ImageSpec, state: StateDict, device: torch.device
) -> nn.Module:
    """Build a teacher and check it on a blank image.

    Args:
        section: The run file's `teacher`.
        spec: The images that the teacher takes.
        state: A state dict from its file.
        device: The device to put it on.

    Returns:
        The network in eval mode, without gradients.

    Raises:
        InputError: If weights, architecture, input and classes do not fit each other.
    """
    network = build_section(section, spec, section.classes)
    fitted = fit_weights(state, network.state_dict(), section).state
    load_state(network, fitted, strict=False)
    network.eval().requires_grad_(False).to(device)
    label = f"teacher {section.weights}: {section.architecture}"
    logits = logits_of_blank_image(network, spec, section.classes, label)
    if not torch.isfinite(logits).all():
        raise InputError(
            f"teacher {section.weights}: its logits are NaN or infinite; "
            "check the weights for NaN and infinity"
        )
    return network


def teacher_fingerprint(section: TeacherSection, state: StateDict) -> str:
    """Return the sha256 of the architecture and the name, type, shape and bytes of each weight.

    Width, arguments and output belong to the architecture. The path of the weights file and its
    format are not part of the fingerprint.

    Args:
        section: The run file's `teacher`.
        state: The weights, with the names that the network has.
    """
    architecture = f"{section.architecture}*{section.width}:{code_version(section.architecture)}"
    # Not in the text if nothing is set, so that fingerprints of older run files stay the same.
    details = section.model_dump(mode="json", include={"factory_arguments", "output"})
    if details:
        architecture += json.dumps(details, sort_keys=True)
    total = hashlib.sha256(architecture.encode())
    for name, tensor in sorted(state.items()):
        total.update(f"{name}:{tensor.dtype}:{list(tensor.shape)};".encode())
        total.update(
            tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes()
        )
    return total.hexdigest()
