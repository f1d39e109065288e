"""export: student and fake-quantized student -> student.fp32.onnx, student.int8.onnx, linted."""

import json
import warnings
from pathlib import Path

import onnx
import torch
from onnx_ir import from_proto, to_proto
from onnx_ir.passes.common import IdentityEliminationPass
from safetensors.torch import load_file
from torch import Tensor, nn

from dfkd.images import ImageSpec
from pipeline.batch_norm_folding import folded
from pipeline.errors import InputError
from pipeline.fake_quantizers import restore, to_torch_quantizers
from pipeline.networks import image_spec
from pipeline.steps.quantize import open_student
from pipeline.work import Made, Work
from targets.lint import errors, lint
from targets.weights import store_weights_as_int8

OPSET = 17


def run(work: Work) -> Made:
    """Export both forms of the student and check the int8 one against TensorRT's rules."""
    spec = image_spec(work.config.input)
    student = open_student(work.config, work)
    example = spec.normalise(torch.zeros(2, *spec.shape))
    description = json.loads(work.inputs["quantizers"].read_text())
    quantized = restore(student, description, load_file(work.inputs["quantized"]))
    float_path = work.folder / "student.fp32.onnx"
    int8_path = work.folder / "student.int8.onnx"
    write_graph(folded(student), example, spec, float_path)
    write_graph(to_torch_quantizers(quantized, example), example, spec, int8_path)
    faults = errors(lint(int8_path))
    if faults:
        raise InputError(f"export: {faults[0]} ({len(faults)} in all)")
    sizes = {path.name: path.stat().st_size for path in (float_path, int8_path)}
    work.reporter.say(f"export: {', '.join(f'{n} {s:,} bytes' for n, s in sizes.items())}")
    return Made({"fp32": float_path, "int8": int8_path}, {"bytes": sizes})


def write_graph(network: nn.Module, example: Tensor, spec: ImageSpec, path: Path) -> None:
    """Export a network with a free batch size, input `images` and output `logits`.

    torch's older exporter keeps to the opset asked for; the newer one merges equal Q/DQ pairs.
    It leaves `Identity` nodes between shared scales and their users, which TensorRT 8 refuses.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network.eval(),
            (example,),
            str(path),
            dynamo=False,
            opset_version=OPSET,
            input_names=["images"],
            output_names=["logits"],
            dynamic_axes={"images": {0: "batch"}, "logits": {0: "batch"}},
        )
    graph = from_proto(onnx.load(path))
    IdentityEliminationPass()(graph)
    model = store_weights_as_int8(to_proto(graph))
    onnx.helper.set_model_props(model, {"mean": str(list(spec.mean)), "std": str(list(spec.std))})
    onnx.checker.check_model(model)
    onnx.save(model, path)
