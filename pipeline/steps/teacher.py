"""teacher: weights of any accepted kind -> teacher.safetensors, checked and fingerprinted."""

import torch
from safetensors.torch import save_file

from base.errors import InputError
from pipeline.config.schema import RunConfig
from pipeline.steps.step_context import Made, Work
from pipeline.teachers.loading import load_teacher, parse_weights, teacher_fingerprint
from pipeline.teachers.networks import image_spec
from pipeline.teachers.weights_file import read_weights, weights_digest


def run(work: Work) -> Made:
    """Load the teacher the way every later step will, and keep what was loaded.

    Raises:
        InputError: When it cannot be used, or is not the one any more that the step was asked for.
    """
    section = work.config.teacher
    content = read_weights(section.weights)
    if weights_digest(content) != work.settings["weights"]:
        raise InputError(
            f"teacher {section.weights}: was replaced since this run looked at it; run again"
        )
    state = parse_weights(content, section.weights)
    network = load_teacher(section, image_spec(work.config.input), state, torch.device("cpu"))
    path = work.folder / "teacher.safetensors"
    save_file({k: v.contiguous().clone() for k, v in network.state_dict().items()}, path)
    parameters = sum(p.numel() for p in network.parameters())
    name = f"{section.architecture}, {parameters:,} parameters"
    work.reporter.say(f"teacher: {name}")
    return Made(
        {"teacher": path}, {"name": name, "fingerprint": teacher_fingerprint(section, state)}
    )


def open_teacher(config: RunConfig, work: Work, device: torch.device) -> torch.nn.Module:
    """The teacher from the artifact that `run` made, for a later step."""
    path = work.inputs["teacher"]
    state = parse_weights(path.read_bytes(), str(path))
    return load_teacher(config.teacher, image_spec(config.input), state, device)
