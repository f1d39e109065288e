"""Compiling, running and timing graphs on the CPU."""

import numpy as np
import onnx
import pytest

from targets.cpu import session as session_module
from targets.cpu.session import (
    ProviderError,
    compile_graph,
    open_session,
    predict,
    time_interleaved,
)
from tests.support.graphs import quantized_convolution


@pytest.fixture
def graph(tmp_path):
    onnx.save(quantized_convolution(), tmp_path / "graph.onnx")
    return tmp_path / "graph.onnx"


def test_compiled_graph_gives_the_logits_of_the_original(graph, tmp_path):
    compiled = compile_graph(graph, tmp_path / "compiled.onnx")
    images = np.random.default_rng(0).normal(size=(250, 3, 8, 8)).astype(np.float32)
    expected = predict(open_session(graph, optimized=False), images)
    actual = predict(open_session(compiled.path), images)
    np.testing.assert_allclose(actual, expected, atol=0.05)
    ((_, kernel),) = compiled.layers
    assert kernel == "Conv"
    assert compiled.integer_layers == 0


def test_time_interleaved_times_every_graph(graph):
    times = time_interleaved(
        {"a": graph, "b": graph}, np.zeros((1, 3, 8, 8), np.float32), repeats=5
    )
    assert times.keys() == {"a", "b"}
    assert all(t > 0 for t in times.values())


def test_open_session_refuses_another_provider(graph, monkeypatch):
    class OtherSession:
        def __init__(self, *args, **kwargs):
            pass

        def disable_fallback(self):
            pass

        def get_providers(self):
            return ["OtherExecutionProvider"]

    monkeypatch.setattr(session_module.ort, "InferenceSession", OtherSession)
    with pytest.raises(ProviderError, match="OtherExecutionProvider"):
        open_session(graph)
