"""export: student and fake-quantized student -> graphs/, linted.

student.fp32.onnx, student.fp16.onnx     the student in float
student.int8.onnx                        int8 weights, float32 elsewhere
student.int8-float-weights.onnx          the same with weights as TensorRT 8 wants them
student.int8-fp16.onnx                   the same with float16 elsewhere, for TensorRT 11
student.int8-cpu.onnx                    with every rounding that ONNX Runtime needs on a CPU
"""

import copy
import json
from importlib import metadata
from pathlib import Path

import onnx
import torch
from onnx import ModelProto
from safetensors.torch import load_file
from torch import nn

from base.errors import InputError
from base.file_digest import file_digest
from dfkd.images import ImageSpec
from pipeline.config.schema import RunConfig
from pipeline.export.batch_norm_folding import folded
from pipeline.export.onnx_export import Preprocessed, exported
from pipeline.quantization.fake_quantizers import restore, to_torch_quantizers
from pipeline.steps.quantize import open_student
from pipeline.steps.step_context import Made, Work
from pipeline.teachers.networks import image_spec
from targets.graph.half_precision import in_half_precision
from targets.graph.int8_weights import store_weights_as_int8
from targets.graph.residual_additions import unquantize_convolution_branches
from targets.lint.linter import errors, lint_model


def run(work: Work) -> Made:
    """Write every form of the student and check the int8 ones against TensorRT's rules."""
    spec = image_spec(work.config.input)
    student = open_student(work.config, work)
    description = json.loads(work.inputs["quantizers"].read_text())
    quantized = restore(student, description, load_file(work.inputs["quantized"]))
    example = spec.normalise(torch.zeros(2, *spec.shape))
    in_float = _model(folded(student), work.config, spec)
    in_int8 = _model(to_torch_quantizers(quantized, example), work.config, spec)
    models = {"fp32": in_float, "fp16": in_half_precision(in_float), **_int8_forms(in_int8)}
    paths = {}
    for role, model in models.items():
        paths[role] = work.folder / f"student.{role}.onnx"
        _write(model, paths[role], work)
    sizes = {path.name: path.stat().st_size for path in paths.values()}
    work.reporter.say(
        f"export: {sizes['student.fp32.onnx']:,} bytes, in int8 {sizes['student.int8.onnx']:,}"
    )
    return Made(paths, {"bytes": sizes})


def _model(network: nn.Module, config: RunConfig, spec: ImageSpec) -> ModelProto:
    example = spec.normalise(torch.zeros(2, *spec.shape))
    if config.export.preprocessing:
        low, high = (
            spec.normalise(torch.full((1, spec.shape[0], 1, 1), edge)).view(-1)
            for edge in spec.value_range
        )
        network = Preprocessed(network, scale=(high - low) / 255, shift=low)
        example = torch.zeros(2, *spec.shape, dtype=torch.uint8)
    return exported(network, example, config.export.opset, config.export.batch)


def _int8_forms(pairs: ModelProto) -> dict[str, ModelProto]:
    """All int8 forms of a graph with float weights and Q/DQ on both branches of additions."""
    fused = unquantize_convolution_branches(copy.deepcopy(pairs))
    stored = store_weights_as_int8(copy.deepcopy(fused))
    return {
        "int8": stored,
        "int8-float-weights": fused,
        "int8-fp16": in_half_precision(stored),
        "int8-cpu": store_weights_as_int8(pairs),
    }


def _write(model: ModelProto, path: Path, work: Work) -> None:
    """Write a graph that says where it comes from.

    Raises:
        InputError: When TensorRT would refuse it.
    """
    faults = errors(lint_model(model))
    if faults:
        raise InputError(f"export: {path.name}: {faults[0]} ({len(faults)} in all)")
    config = work.config
    properties = {
        "producer": f"datafree-edge {metadata.version('datafree-edge')}",
        "teacher": file_digest(work.inputs["teacher"]),
        "student": file_digest(work.inputs["student"]),
        "quantized": file_digest(work.inputs["quantized"]),
        "class_names": json.dumps(config.teacher.class_names),
        "mean": json.dumps(config.input.mean),
        "std": json.dumps(config.input.std),
        "value_range": json.dumps(config.input.value_range),
    }
    onnx.helper.set_model_props(model, properties)
    onnx.checker.check_model(model)
    onnx.save(model, path)
