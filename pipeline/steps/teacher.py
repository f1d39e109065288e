"""teacher: its file -> teacher.safetensors or teacher.onnx, checked and fingerprinted."""

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

    from pipeline.input_checks.input_warnings import input_warnings
    from pipeline.teachers.networks import image_spec
    from pipeline.teachers.teacher_file import load_teacher_file

    section = context.config.teacher
    content = read_weights(section.weights)
    if weights_digest(content) != context.settings["weights"]:
        raise InputError(f"teacher {section.weights}: was replaced during the run; run again")
    spec = image_spec(context.config.input)
    loaded = load_teacher_file(content, section, spec, torch.device("cpu"))
    path = context.folder / f"teacher{loaded.suffix}"
    path.write_bytes(loaded.content)
    parameters = sum(p.numel() for p in loaded.network.parameters())
    name = f"{section.label}, {parameters:,} parameters"
    warnings = input_warnings(loaded.network, spec)
    for line in (name, *loaded.notes):
        context.reporter.say(f"teacher: {line}")
    for warning in warnings:
        context.reporter.say(f"warning: {warning}")
    notes = {"name": name, "fingerprint": loaded.fingerprint, "warnings": list(warnings)}
    return StepResult({TEACHER: path}, notes)
