import numpy as np
import onnx
import pytest

from targets.cpu import session as onnxruntime_cpu
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


def test_the_compiled_graph_answers_as_the_one_it_came_from(graph, tmp_path):
    compiled = compile_graph(graph, tmp_path / "compiled.onnx")
    images = np.random.default_rng(0).normal(size=(250, 3, 8, 8)).astype(np.float32)
    meant = predict(open_session(graph, optimised=False), images)
    given = predict(open_session(compiled.path), images)
    np.testing.assert_allclose(given, meant, atol=0.05)
    ((_, kernel),) = compiled.layers
    assert kernel == "Conv"
    assert compiled.integer_layers == 0


def test_times_every_graph_in_turns(graph):
    times = time_interleaved(
        {"a": graph, "b": graph}, np.zeros((1, 3, 8, 8), np.float32), repeats=5
    )
    assert times.keys() == {"a", "b"}
    assert all(t > 0 for t in times.values())


def test_another_provider_is_an_error_not_a_fallback(graph, monkeypatch):
    class Elsewhere:
        def __init__(self, *args, **kwargs):
            pass

        def disable_fallback(self):
            pass

        def get_providers(self):
            return ["OtherExecutionProvider"]

    monkeypatch.setattr(onnxruntime_cpu.ort, "InferenceSession", Elsewhere)
    with pytest.raises(ProviderError, match="OtherExecutionProvider"):
        open_session(graph)
