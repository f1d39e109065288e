"""Make every form of a student's graph.

student.fp32.onnx                float32
student.fp16.onnx                float16
student.int8.onnx                int8 weights, everything else float32
student.int8-float-weights.onnx  as int8, but with float32 weights and Q/DQ, for TensorRT 8
student.int8-fp16.onnx           as int8, but with float16 in place of float32, for TensorRT 11
student.int8-cpu.onnx            int8 weights, and Q/DQ on both branches of residual additions and
                                 after every convolution, for ONNX Runtime on a CPU
"""

import copy
import json
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import onnx
import torch
from onnx import ModelProto
from torch import nn

from base.errors import InputError
from pipeline.export.onnx_export import WithPreprocessing, export_onnx
from pipeline.tracing.fixed_form import FixedForm
from targets.graph.convolution_outputs import unquantize_unused_outputs
from targets.graph.half_precision import in_half_precision
from targets.graph.int8_weights import store_weights_as_int8
from targets.graph.residual_additions import unquantize_convolution_branches
from targets.graph.transposed_weights import store_transposed_weights
from targets.lint.linter import errors, lint_model

if TYPE_CHECKING:
    from dfkd.images import ImageSpec
    from pipeline.config.schema import RunConfig


def to_graph(network: FixedForm, config: "RunConfig", spec: "ImageSpec") -> ModelProto:
    """Export a network with the settings of the run file's `export`.

    Args:
        network: The float network, or the one with torch's fake-quantizers.
        config: The run file.
        spec: The images that the network takes.
    """
    example = spec.normalise(torch.zeros(2, *spec.shape))
    exported: nn.Module = network
    wrappers = "/network"  # The exporter names nodes by the path of the module.
    if config.export.preprocessing:
        low, high = (
            spec.normalise(torch.full((1, spec.shape[0], 1, 1), edge)).view(-1)
            for edge in spec.value_range
        )
        exported = WithPreprocessing(network, scale=(high - low) / 255, shift=low)
        example = torch.zeros(2, *spec.shape, dtype=torch.uint8)
        wrappers *= 2
    model = export_onnx(exported, example, config.export.opset, config.export.batch)
    for node in model.graph.node:
        node.name = node.name.removeprefix(wrappers)
    return model


def int8_forms(int8_graph: ModelProto) -> dict[str, ModelProto]:
    """Return the forms with int8 weights and float32, by name.

    Args:
        int8_graph: The fake-quantized student: float weights, and Q/DQ on both branches of
            residual additions and after every convolution. It is changed.
    """
    int8_graph = store_transposed_weights(int8_graph)
    fused = unquantize_convolution_branches(copy.deepcopy(int8_graph))
    fused = unquantize_unused_outputs(fused)
    return {
        "int8": store_weights_as_int8(copy.deepcopy(fused)),
        "int8-float-weights": fused,
        "int8-cpu": store_weights_as_int8(int8_graph),
    }


def graph_forms(float_graph: ModelProto, int8_graph: ModelProto) -> dict[str, ModelProto]:
    """Return every form of the student, by name.

    Args:
        float_graph: The float student.
        int8_graph: As for `int8_forms`.
    """
    forms = int8_forms(int8_graph)
    return {
        "fp32": float_graph,
        "fp16": in_half_precision(float_graph),
        **forms,
        "int8-fp16": in_half_precision(forms["int8"]),
    }


def write_graph(model: ModelProto, path: Path, config: "RunConfig", origin: dict[str, str]) -> None:
    """Check a graph and write it, with metadata about its origin.

    Args:
        model: The graph.
        path: Where to write it.
        config: The run file.
        origin: sha256 of each file that the graph was made from, by role.

    Raises:
        InputError: If TensorRT would reject it.
    """
    faults = errors(lint_model(model))
    if faults:
        raise InputError(
            f"export: {path.name}: {faults[0]} ({len(faults)} in all); "
            "replace the operation in the network, or keep its layer in float with "
            "quantize.float_layers"
        )
    properties = {
        "producer": f"datafree-edge {metadata.version('datafree-edge')}",
        **origin,
        "class_names": json.dumps(config.teacher.class_names),
        "mean": json.dumps(config.input.mean),
        "std": json.dumps(config.input.std),
        "value_range": json.dumps(config.input.value_range),
    }
    onnx.helper.set_model_props(model, properties)
    onnx.checker.check_model(model)
    onnx.save(model, path)
