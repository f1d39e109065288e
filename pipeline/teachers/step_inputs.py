"""The networks that earlier steps saved, loaded for a later step."""

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn

from dfkd.models.state_dicts import load_state
from pipeline.config.network_sections import NetworkSection
from pipeline.config.schema import RunConfig
from pipeline.roles import STUDENT, TEACHER
from pipeline.step_types import StepContext
from pipeline.teachers.graphs.loading import load_graph
from pipeline.teachers.networks import build_section, image_spec


def open_teacher(context: StepContext, device: torch.device) -> nn.Module:
    """Return the teacher, frozen and in eval mode, on `device`."""
    teacher = _saved_teacher(context.config, context.inputs[TEACHER])
    return teacher.requires_grad_(False).to(device)


def open_student(context: StepContext) -> nn.Module:
    """Return the float student on the CPU, in eval mode: the distilled one, or the teacher."""
    config, path = context.config, context.inputs[STUDENT]
    if config.student == "same":
        return _saved_teacher(config, path)
    return _saved_network(config, config.student, path)


def _saved_teacher(config: RunConfig, path: Path) -> nn.Module:
    """Return the teacher from the file of the teacher step, which has fitted and checked it."""
    if not config.teacher.holds_network:
        return _saved_network(config, config.teacher, path)
    spec = image_spec(config.input)
    return load_graph(path.read_bytes(), config.teacher, spec, compared=False).network.eval()


def _saved_network(config: RunConfig, section: NetworkSection, path: Path) -> nn.Module:
    network = build_section(section, image_spec(config.input), config.teacher.classes)
    load_state(network, load_file(path))
    return network.eval()


def cpu_state(network: nn.Module) -> dict[str, torch.Tensor]:
    """Return a network's weights as CPU tensors for a safetensors file, which none may share."""
    return {k: v.detach().cpu().contiguous().clone() for k, v in network.state_dict().items()}
