"""The networks that earlier steps saved, loaded for a later step."""

import torch
from safetensors.torch import load_file
from torch import nn

from dfkd.models.state_dicts import load_state
from pipeline.roles import STUDENT, TEACHER
from pipeline.step_types import StepContext
from pipeline.teachers.loading import load_teacher, parse_weights
from pipeline.teachers.networks import build_section, image_spec


def open_teacher(context: StepContext, device: torch.device) -> nn.Module:
    """Return the teacher, frozen and in eval mode, on `device`."""
    config, path = context.config, context.inputs[TEACHER]
    state = parse_weights(path.read_bytes(), str(path))
    return load_teacher(config.teacher, image_spec(config.input), state, device)


def open_student(context: StepContext) -> nn.Module:
    """Return the float student on the CPU, in eval mode: the distilled one, or the teacher."""
    config = context.config
    section = config.teacher if config.student == "same" else config.student
    student = build_section(section, image_spec(config.input), config.teacher.classes)
    load_state(student, load_file(context.inputs[STUDENT]))
    return student.eval()


def cpu_state(network: nn.Module) -> dict[str, torch.Tensor]:
    """Return a network's weights as CPU tensors for a safetensors file, which none may share."""
    return {k: v.detach().cpu().contiguous().clone() for k, v in network.state_dict().items()}
