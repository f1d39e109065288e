"""Every form of network: the same outputs after folding, every layer quantized, an exact graph."""

import numpy as np
import onnx
import pytest
import torch

from pipeline.export.graph_forms import int8_forms
from pipeline.export.onnx_export import export_onnx
from pipeline.quantization.fake_quantizers import (
    describe,
    input_uses,
    prepare,
    quantizer_at,
    restore,
    to_torch_quantizers,
)
from pipeline.quantization.scheme import Scheme
from pipeline.tracing.batch_norm_folding import fixed_form
from pipeline.tracing.function_graph import FunctionGraph
from pipeline.tracing.operations import CLIPPING, QUANTIZERS
from pipeline.tracing.trace import made_by
from targets.catalogue.instruction_sets import this_cpu
from targets.cpu.session import compile_graph, open_session, predict, rewrite_graph_file
from targets.graph.int8_weights import store_weights_as_int8
from targets.lint.linter import errors, lint_model
from tests.support.network_forms import FORMS, form, images


@pytest.fixture(scope="module", params=FORMS)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def prepared(name):
    return prepare(form(name), images(64), Scheme()).eval()


def test_fixed_form_has_equal_logits_and_folds_every_batch_norm_that_it_can(name):
    network, x = form(name), images(4)
    root = fixed_form(network, x)
    torch.testing.assert_close(root(x), network(x), rtol=1e-4, atol=1e-5)
    assert len(root.folded) == FORMS[name][2]


def test_every_layer_is_quantized_at_its_weight_and_at_all_its_inputs(name, prepared):
    layers = FunctionGraph(prepared, images(2)).layers
    assert len(layers) == FORMS[name][1]
    for layer in layers:
        uses = input_uses(layer) + [call.weight for call in layer.calls if call.weight]
        assert all(quantizer_at(prepared, use) is not None for use in uses), layer.name


def test_restored_network_has_equal_logits(name, prepared):
    x = images(8)
    restored = restore(form(name), x[:2], describe(prepared), prepared.state_dict())
    torch.testing.assert_close(restored(x), prepared(x), rtol=0, atol=0)


def test_exported_graph_computes_what_the_network_computes(name, prepared, tmp_path):
    x = images(32)
    exact = to_torch_quantizers(prepared)
    graph = store_weights_as_int8(export_onnx(exact, x[:2], 17, None))
    assert errors(lint_model(graph)) == []
    onnx.save(graph, tmp_path / "graph.onnx")
    logits = predict(open_session(tmp_path / "graph.onnx", optimized=False), x.numpy())
    with torch.no_grad():
        expected = exact(x)
    # A value on a rounding boundary moves by one step, so not every logit is equal.
    error = (torch.from_numpy(logits) - expected).norm() / expected.norm()
    assert error < 0.02


def test_every_convolution_runs_on_an_integer_kernel(name, prepared, tmp_path):
    graph = int8_forms(export_onnx(to_torch_quantizers(prepared), images(2), 17, None))["int8-cpu"]
    onnx.save(graph, tmp_path / "graph.onnx")
    rewritten = rewrite_graph_file(tmp_path / "graph.onnx", tmp_path / "cpu.onnx", this_cpu())
    compiled = compile_graph(rewritten, tmp_path / "compiled.onnx")
    in_float = [layer for layer, kernel in compiled.layers if kernel in {"Conv", "FusedConv"}]
    assert in_float == []
    # Larger than the images of the calibration, so that values are clipped.
    x = 3 * images(32).numpy()
    exported, compiled_ = (
        predict(open_session(path, optimized=path != rewritten), x)
        for path in (rewritten, compiled.path)
    )
    assert np.linalg.norm(compiled_ - exported) < 0.05 * np.linalg.norm(exported)


def test_no_convolution_is_quantized_before_the_function_that_clips_it(name, prepared):
    trace = FunctionGraph(prepared, images(2)).trace
    for node in trace.nodes:
        if (
            node.node_type in CLIPPING
            and trace.kinds[(edge := trace.inputs[node.node_name][0]).from_node.node_name]
            in QUANTIZERS
        ):
            assert len(trace.readers[made_by(edge)]) > 1, node.node_name


def test_gradients_reach_every_quantized_weight(prepared):
    prepared.zero_grad()
    prepared.train()(images(4)).square().sum().backward()
    for layer in FunctionGraph(prepared, images(2)).layers:
        if layer.weight in dict(prepared.named_parameters()):
            assert prepared.get_parameter(layer.weight).grad is not None, layer.name
