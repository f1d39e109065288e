"""Teachers: trained weights become a frozen network that has run once."""

import hashlib
import io
from typing import Any

import safetensors
import torch
from safetensors.torch import load as load_safetensors
from torch import Tensor, nn

from base.errors import InputError, first_line
from dfkd.images import ImageSpec
from pipeline.config.sections import TeacherSection
from pipeline.store.code_digest import factory_digest
from pipeline.teachers.networks import answer_to_blank, build_network
from pipeline.teachers.torch_file import TooLargeError, load_torch
from pipeline.teachers.weights_file import HOW_TO_SAVE

StateDict = dict[str, Tensor]

NESTED = ("state_dict", "model_state_dict", "model", "net")
"""What checkpoints call the state dict among all that they hold."""


def parse_weights(content: bytes, url: str) -> StateDict:
    """A state dict out of a file's bytes; nothing in it is ever run.

    One that is nested under a usual name is taken out, and the `module.` that DataParallel puts
    before every name is dropped.

    Raises:
        InputError: When it is truncated, wants to run code, or holds no state dict.
    """
    state: Any
    if url.lower().endswith(".safetensors"):
        try:
            state = load_safetensors(content)
        except safetensors.SafetensorError as error:
            raise InputError(f"teacher {url}: damaged safetensors file ({error})") from None
    else:
        state = _load_weights_only(content, url)
    if isinstance(state, dict):
        nested = (state[name] for name in NESTED if isinstance(state.get(name), dict))
        state = next(nested, state)
    if not isinstance(state, dict) or not state or not _all_tensors(state):
        found = f"it holds {', '.join(map(str, state))[:200]}" if isinstance(state, dict) else ""
        raise InputError(f"teacher {url}: no state dict{found and f' ({found})'}; {HOW_TO_SAVE}")
    if all(name.startswith("module.") for name in state):
        state = {name.removeprefix("module."): tensor for name, tensor in state.items()}
    return dict(state)


def load_teacher(
    section: TeacherSection, spec: ImageSpec, state: StateDict, device: torch.device
) -> nn.Module:
    """A network with these weights, in eval mode, frozen, and run once on a blank image.

    Raises:
        InputError: When weights, architecture, input and classes do not fit one another.
    """
    network = build_network(section.architecture, section.width, spec, section.classes)
    _fit(network, state, section)
    network.eval().requires_grad_(False).to(device)
    whose = f"teacher {section.weights}: {section.architecture}"
    logits = answer_to_blank(network, spec, section.classes, whose)
    if not torch.isfinite(logits).all():
        raise InputError(f"teacher {section.weights}: answers with NaN or infinity")
    return network


def fingerprint(section: TeacherSection, state: StateDict) -> str:
    """The sha256 of a teacher: its architecture and every weight's name, type, shape and bytes."""
    architecture = f"{section.architecture}*{section.width}:{factory_digest(section.architecture)}"
    total = hashlib.sha256(architecture.encode())
    for name, tensor in sorted(state.items()):
        total.update(f"{name}:{tensor.dtype}:{list(tensor.shape)};".encode())
        total.update(
            tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes()
        )
    return total.hexdigest()


def _load_weights_only(content: bytes, url: str) -> Any:
    if content[8:9] == b"{":  # After the length of its header, as no pickle or archive begins.
        raise InputError(f"teacher {url}: is a safetensors file; give it that suffix")
    try:
        return load_torch(io.BytesIO(content))
    except TooLargeError as error:
        raise InputError(f"teacher {url}: {error}; {HOW_TO_SAVE}") from None
    except Exception as error:  # torch raises half a dozen types, RuntimeError to EOFError
        if "Unsupported" in str(error) or "weights_only" in str(error):
            raise InputError(
                f"teacher {url}: a pickle that wants to run code, which is refused; {HOW_TO_SAVE}"
            ) from None
        raise InputError(
            f"teacher {url}: damaged or truncated weights ({first_line(error)})"
        ) from None


def _all_tensors(state: dict[Any, Any]) -> bool:
    return all(isinstance(k, str) and isinstance(v, Tensor) for k, v in state.items())


def _fit(network: nn.Module, state: StateDict, section: TeacherSection) -> None:
    wanted = network.state_dict()
    # A counter that older files lack and that inference never reads.
    optional = {name for name in wanted if name.endswith("num_batches_tracked")}
    faults = [
        ("missing", sorted(wanted.keys() - state.keys() - optional)),
        ("unexpected", sorted(state.keys() - wanted.keys())),
        (
            "of another shape",
            sorted(n for n in wanted.keys() & state.keys() if wanted[n].shape != state[n].shape),
        ),
    ]
    found = [f"{len(names)} {kind} ({names[0]}, ...)" for kind, names in faults if names]
    if found:
        raise InputError(
            f"teacher {section.weights}: the weights are not those of {section.architecture} with "
            f"{section.classes} classes: {'; '.join(found)}"
        )
    network.load_state_dict(state, strict=False)
