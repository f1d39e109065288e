"""The networks that earlier steps saved, loaded for a later step."""

import torch
from safetensors.torch import load_file
from torch import nn

from dfkd.models.state_dicts import load_state
from pipeline.roles import STUDENT, TEACHER
from pipeline.step_types import StepContext
from pipeline.teachers.graphs.loading import load_graph
from pipeline.teachers.networks import build_section, image_spec
from pipeline.teachers.teacher_file import load_teacher_file


def open_teacher(context: StepContext, device: torch.device) -> nn.Module:
    """Return the teacher, frozen and in eval mode, on `device`."""
    config, path = context.config, context.inputs[TEACHER]
    # The teacher step saved the chosen weights, with the names of the network.
    section = config.teacher.model_copy(update={"weights": str(path), "weights_key": None})
    spec = image_spec(config.input)
    # It has compared the same file.
    return load_teacher_file(path.read_bytes(), section, spec, device, compared=False).network


def open_student(context: StepContext) -> nn.Module:
    """Return the float student on the CPU, in eval mode: the distilled one, or the teacher."""
    config, spec = context.config, image_spec(context.config.input)
    if config.student == "same" and config.teacher.holds_network:
        content = context.inputs[STUDENT].read_bytes()
        return load_graph(content, config.teacher, spec, compared=False).network
    section = config.teacher if config.student == "same" else config.student
    student = build_section(section, spec, config.teacher.classes)
    load_state(student, load_file(context.inputs[STUDENT]))
    return student.eval()


def cpu_state(network: nn.Module) -> dict[str, torch.Tensor]:
    """Return a network's weights as CPU tensors for a safetensors file, which none may share."""
    return {k: v.detach().cpu().contiguous().clone() for k, v in network.state_dict().items()}
