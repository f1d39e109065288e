"""Load a teacher: parse its weights and put them into a frozen network."""

import hashlib
import io
import json
from typing import Any

import safetensors
import torch
from safetensors.torch import load as load_safetensors
from torch import Tensor, nn

from base.errors import InputError, first_line
from dfkd.images import ImageSpec
from dfkd.models.state_dicts import load_state
from pipeline.config.architecture_names import code_version, kind_and_name
from pipeline.config.sections import TeacherSection
from pipeline.teachers.library_networks import fits_torchvision
from pipeline.teachers.networks import build_section, logits_of_blank_image
from pipeline.teachers.torch_file import TooLargeError, load_torch
from pipeline.teachers.weights_file import HOW_TO_SAVE

StateDict = dict[str, Tensor]

STATE_DICT_KEYS = ("state_dict", "model_state_dict", "model", "net")
"""Usual keys of the state dict in a checkpoint that holds other things too."""


def parse_weights(content: bytes, url: str) -> StateDict:
    """Read a state dict from the bytes of a weights file. No code in the file is run.

    A state dict nested under one of `STATE_DICT_KEYS` is found. The prefix `module.`, which
    DataParallel adds to every name, is removed.

    Args:
        content: The bytes of a safetensors file, or of a file written by `torch.save`.
        url: The file's path or URL, for its suffix and for error messages.

    Raises:
        InputError: If the file is damaged, needs to run code, or holds no state dict.
    """
    state: Any
    if url.lower().endswith(".safetensors"):
        try:
            state = load_safetensors(content)
        except safetensors.SafetensorError as error:
            raise InputError(
                f"teacher {url}: damaged safetensors file ({error}); copy or save it again"
            ) from None
    else:
        state = _load_weights_only(content, url)
    if isinstance(state, dict):
        nested = (state[name] for name in STATE_DICT_KEYS if isinstance(state.get(name), dict))
        state = next(nested, state)
    if not isinstance(state, dict) or not state or not _all_tensors(state):
        keys = f" (found the keys {', '.join(map(str, state))[:200]})" if _has_keys(state) else ""
        raise InputError(f"teacher {url}: no state dict in the file{keys}; {HOW_TO_SAVE}")
    if all(name.startswith("module.") for name in state):
        state = {name.removeprefix("module."): tensor for name, tensor in state.items()}
    return dict(state)


def load_teacher(
    section: TeacherSection, spec: ImageSpec, state: StateDict, device: torch.device
) -> nn.Module:
    """Build a teacher and check it on a blank image.

    Args:
        section: The run file's `teacher`.
        spec: The images that the teacher takes.
        state: Its weights.
        device: The device to put it on.

    Returns:
        The network in eval mode, without gradients.

    Raises:
        InputError: If weights, architecture, input and classes do not fit each other.
    """
    network = build_section(section, spec, section.classes)
    _load_state(network, state, section)
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


def _load_weights_only(content: bytes, url: str) -> Any:
    # A safetensors file has its JSON header at byte 8, where no pickle or archive has a brace.
    if content[8:9] == b"{":
        raise InputError(f"teacher {url}: is a safetensors file; rename it to end in .safetensors")
    try:
        return load_torch(io.BytesIO(content))
    except TooLargeError as error:
        raise InputError(f"teacher {url}: {error}; {HOW_TO_SAVE}") from None
    except Exception as error:  # torch raises half a dozen types, from RuntimeError to EOFError
        if "Unsupported" in str(error) or "weights_only" in str(error):
            raise InputError(
                f"teacher {url}: loading this pickle would run code, which is not allowed; "
                f"{HOW_TO_SAVE}"
            ) from None
        raise InputError(
            f"teacher {url}: damaged or truncated file ({first_line(error)}); copy or save it again"
        ) from None


def _has_keys(state: Any) -> bool:
    return isinstance(state, dict) and bool(state)


def _all_tensors(state: dict[Any, Any]) -> bool:
    return all(isinstance(k, str) and isinstance(v, Tensor) for k, v in state.items())


def _load_state(network: nn.Module, state: StateDict, section: TeacherSection) -> None:
    expected = network.state_dict()
    # Files of old torch versions lack this counter, and inference never reads it.
    optional = {name for name in expected if name.endswith("num_batches_tracked")}
    other_shape = [n for n in expected.keys() & state.keys() if expected[n].shape != state[n].shape]
    differences = [
        ("missing", sorted(expected.keys() - state.keys() - optional)),
        ("unexpected", sorted(state.keys() - expected.keys())),
        ("of another shape", sorted(other_shape)),
    ]
    found = [f"{len(names)} {kind} ({names[0]}, ...)" for kind, names in differences if names]
    if found:
        raise InputError(
            f"teacher {section.weights}: the weights are not those of {section.architecture} with "
            f"{section.classes} classes: {'; '.join(found)}; {_how_to_fit(state, section)}"
        )
    load_state(network, state, strict=False)


def _how_to_fit(state: StateDict, section: TeacherSection) -> str:
    """Return what to change in the run file if the weights are not those of the architecture."""
    name, kind = section.architecture, kind_and_name(section.architecture)[0]
    # The registry has other networks than torchvision under some of torchvision's names.
    if kind == "registry" and fits_torchvision(name, section.classes, state):
        and_width = " and remove teacher.width" if section.width != 1.0 else ""
        return (
            f"they are those of torchvision's {name}: "
            f"write architecture: torchvision:{name}{and_width}"
        )
    if kind == "registry":
        return "correct teacher.architecture, teacher.width or teacher.classes"
    return "correct teacher.architecture, teacher.factory_arguments or teacher.classes"
