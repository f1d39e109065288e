"""export: float and fake-quantized student -> ONNX graphs, checked against TensorRT's rules."""

from typing import Any

from pipeline.config.schema import RunConfig
from pipeline.config.step_settings import (
    network_modules,
    sections,
    student_network,
    teacher_network,
    torch_settings,
)
from pipeline.roles import GRAPHS, QUANTIZED, QUANTIZERS, STUDENT, TEACHER
from pipeline.step_types import Step, StepContext, StepResult, always


def _settings(config: RunConfig, _: str) -> dict[str, Any]:
    return {
        **sections(config, "input", "export"),
        # The graphs contain the names of the classes.
        "teacher": {**teacher_network(config), "class_names": list(config.teacher.class_names)},
        "student": student_network(config),
        "torch": torch_settings(config),
    }


STEP = Step(
    name="export",
    needs=always(TEACHER, STUDENT, QUANTIZED, QUANTIZERS),
    makes=always(*GRAPHS.values()),
    settings=_settings,
    modules=network_modules,
)


def run(context: StepContext) -> StepResult:
    """Write every form of the student.

    Raises:
        InputError: If TensorRT would refuse one of the int8 forms.
    """
    import json

    import torch
    from safetensors.torch import load_file

    from base.file_digest import file_digest
    from pipeline.export.graph_forms import graph_forms, to_graph, write_graph
    from pipeline.quantization.fake_quantizers import restore, to_torch_quantizers
    from pipeline.reporter import counting
    from pipeline.teachers.networks import image_spec
    from pipeline.teachers.step_inputs import open_student
    from pipeline.tracing.batch_norm_folding import fixed_form

    config, inputs = context.config, context.inputs
    spec = image_spec(config.input)
    student = open_student(context)
    description = json.loads(inputs[QUANTIZERS].read_text())
    example = spec.normalise(torch.zeros(2, *spec.shape))
    quantized = restore(student, example, description, load_file(inputs[QUANTIZED]))
    with counting(context.reporter, "export", 2) as advance:
        float_graph = to_graph(fixed_form(student, example), config, spec)
        advance(1)
        int8_graph = to_graph(to_torch_quantizers(quantized), config, spec)
        advance(1)
    origin = {role.name: file_digest(inputs[role]) for role in (TEACHER, STUDENT, QUANTIZED)}
    files = {}
    for form, model in graph_forms(float_graph, int8_graph).items():
        files[GRAPHS[form]] = path = context.folder / f"student.{form}.onnx"
        write_graph(model, path, config, origin)
    sizes = {path.name: path.stat().st_size for path in files.values()}
    context.reporter.say(
        f"export: {sizes['student.fp32.onnx']:,} bytes, in int8 {sizes['student.int8.onnx']:,}"
    )
    return StepResult(files, {"bytes": sizes})
