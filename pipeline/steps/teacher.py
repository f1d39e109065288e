"""teacher: a weights file -> teacher.safetensors, checked and fingerprinted."""

from typing import Any

from base.errors import InputError
from pipeline.config.schema import RunConfig
from pipeline.config.step_settings import sections, teacher_modules, teacher_network
from pipeline.roles import TEACHER
from pipeline.step_types import Step, StepContext, StepResult, always
from pipeline.teachers.weights_file import read_weights, weights_digest


def _settings(config: RunConfig, _: str) -> dict[str, Any]:
    content, key = read_weights(config.teacher.weights), config.teacher.weights_key
    return {
        "weights": weights_digest(content),
        **({} if key is None else {"weights_key": key}),
        "teacher": teacher_network(config),
        **sections(config, "input"),
    }


STEP = Step(
    name="teacher",
    needs=always(),
    makes=always(TEACHER),
    settings=_settings,
    modules=teacher_modules,
)


def run(context: StepContext) -> StepResult:
    """Load the teacher as every later step does, and save what was loaded.

    Raises:
        InputError: If the teacher cannot be used, or if its file changed after the step's key was
            computed.
    """
    import torch
    from safetensors.torch import save_file

    from pipeline.input_checks.input_warnings import input_warnings
    from pipeline.teachers.fitting import fit_weights
    from pipeline.teachers.loading import load_teacher, parse_weights, teacher_fingerprint
    from pipeline.teachers.networks import image_spec

    section = context.config.teacher
    content = read_weights(section.weights)
    if weights_digest(content) != context.settings["weights"]:
        raise InputError(f"teacher {section.weights}: was replaced during the run; run again")
    state = parse_weights(content, section.weights, section.weights_key)
    spec = image_spec(context.config.input)
    network = load_teacher(section, spec, state, torch.device("cpu"))
    fitted = fit_weights(state, network.state_dict(), section)
    path = context.folder / "teacher.safetensors"
    save_file({k: v.contiguous().clone() for k, v in network.state_dict().items()}, path)
    parameters = sum(p.numel() for p in network.parameters())
    name = f"{section.architecture}, {parameters:,} parameters"
    warnings = input_warnings(network, spec)
    for line in (name, *fitted.notes):
        context.reporter.say(f"teacher: {line}")
    for warning in warnings:
        context.reporter.say(f"warning: {warning}")
    notes = {"name": name, "fingerprint": teacher_fingerprint(section, fitted.state)}
    return StepResult({TEACHER: path}, {**notes, "warnings": list(warnings)})
