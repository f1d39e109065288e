"""Valid graphs, and graphs of other quantizers, have no errors."""

from pathlib import Path

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from targets.lint.linter import errors, lint
from tests.support.graphs import Builder, quantized_convolution, residual

MODELOPT = Path(__file__).parent / "modelopt_int8.onnx"
"""Written by NVIDIA Model Optimizer 0.47 from a small residual network: INT8_DEFAULT_CFG, then
torch.onnx.export at opset 17."""


def test_valid_graphs_have_no_findings(tmp_path):
    for graph in (quantized_convolution(), residual()):
        onnx.save(graph, tmp_path / "valid.onnx")
        assert lint(tmp_path / "valid.onnx") == []


def test_graph_of_nvidia_model_optimizer_has_no_error():
    findings = lint(MODELOPT)
    assert not errors(findings)
    assert {f.problem for f in findings} == {
        "the identity branch of a residual addition is not quantized",
        "8 channels take as much time as 32",
        "16 channels take as much time as 32",
    }


def test_graph_of_onnxruntimes_quantizer_has_no_error(tmp_path):
    class Noise(CalibrationDataReader):
        def __init__(self):
            rng = np.random.default_rng(0)
            self.images = iter([rng.normal(size=(4, 3, 8, 8)).astype(np.float32)] * 2)

        def get_next(self):
            return next(({"images": batch} for batch in self.images), None)

    build = Builder()
    convolution = build.add(
        "Conv",
        "images",
        build.constant(build.rng.normal(size=(32, 3, 3, 3)).astype(np.float32)),
        build.constant(np.ones(32, np.float32)),
    )
    onnx.save(build.finish(build.add("Relu", convolution), 32), tmp_path / "float.onnx")
    quantize_static(
        tmp_path / "float.onnx",
        tmp_path / "int8.onnx",
        Noise(),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QInt8,
        weight_type=QuantType.QInt8,
        extra_options={
            "ActivationSymmetric": True,
            "WeightSymmetric": True,
            "QuantizeBias": False,
        },
    )
    findings = lint(tmp_path / "int8.onnx")
    assert any(n.op_type == "QuantizeLinear" for n in onnx.load(tmp_path / "int8.onnx").graph.node)
    assert not errors(findings), findings
