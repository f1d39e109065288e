"""ONNX Runtime on this machine's CPU: compile, open, time."""

import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import ModelProto

from targets.bundle.golden import Golden, full_batches
from targets.catalogue.instruction_sets import Cpu
from targets.graph.graph_file import read_graph
from targets.graph.integer_relu import with_integer_relus
from targets.graph.unsigned_activations import with_unsigned_activations

Images = NDArray[np.float32] | NDArray[np.uint8]
Logits = NDArray[np.float32]

INTEGER_KERNELS = {"QLinearConv", "QLinearMatMul", "QGemm", "MatMulIntegerToFloat", "ConvInteger"}
FLOAT_KERNELS = {"Conv", "FusedConv", "Gemm", "FusedGemm", "MatMul"}


class ProviderError(RuntimeError):
    """ONNX Runtime did not give the execution provider that was asked for."""


@dataclass(frozen=True)
class CompiledGraph:
    """A graph compiled for this CPU.

    Attributes:
        path: The optimised graph.
        layers: Name and kernel of every convolution and linear layer, in their order.
    """

    path: Path
    layers: list[tuple[str, str]]

    @property
    def integer_layers(self) -> int:
        """How many of them run on integer kernels."""
        return sum(kernel in INTEGER_KERNELS for _, kernel in self.layers)


def cpu_fingerprint(cpu: Cpu) -> dict[str, str]:
    """What a compiled graph and its timings depend on."""
    return {"cpu": cpu.model, "int8": cpu.int8, "onnxruntime": ort.__version__}


def rewrite_for_cpu(model: ModelProto, cpu: Cpu) -> ModelProto:
    """A Q/DQ graph in the form that a CPU runs fastest, in place; every value stays the same.

    x86 wants unsigned activations; ARM multiplies signed bytes as fast.
    """
    with_integer_relus(model)
    return with_unsigned_activations(model) if cpu.is_x86 else model


def rewrite_graph_file(graph: Path, handed: Path, cpu: Cpu) -> Path:
    """Write a graph as `rewritten` makes it; one without Q/DQ stays as it is."""
    onnx.save(rewrite_for_cpu(read_graph(graph), cpu), handed)
    return handed


def compile_graph(graph: Path, compiled: Path) -> CompiledGraph:
    """Write the graph as ONNX Runtime fuses it for a CPU, and tell what became integer.

    Layout changes that hold for one CPU only are left to the moment of loading.
    """
    options = _options()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(compiled)
    _open(graph, options)
    kernels = INTEGER_KERNELS | FLOAT_KERNELS
    nodes = read_graph(compiled).graph.node
    return CompiledGraph(compiled, [(n.name, n.op_type) for n in nodes if n.op_type in kernels])


def open_session(graph: Path, optimised: bool = True) -> ort.InferenceSession:
    """A session on the CPU, one thread, and on nothing else.

    Args:
        graph: An ONNX file with input `images` and output `logits`.
        optimised: False runs the graph as written, the reference for what it means.

    Raises:
        ProviderError: When ONNX Runtime would run it elsewhere.
    """
    options = _options()
    if not optimised:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    return _open(graph, options)


def predict_golden(session: ort.InferenceSession, golden: Golden) -> Logits:
    """Logits (N, K) for the probes, as pixels where the graph normalises them itself."""
    takes_pixels = session.get_inputs()[0].type == "tensor(uint8)"
    return predict(session, golden.pixels if takes_pixels else golden.images)


def predict(session: ort.InferenceSession, images: Images, batch: int = 100) -> Logits:
    """Logits (N, K) for images (N, C, H, W); a graph of a fixed batch is run so many at a time."""
    fixed = session.get_inputs()[0].shape[0]
    size = fixed if isinstance(fixed, int) else min(batch, len(images))
    parts = [session.run(["logits"], {"images": part})[0] for part in full_batches(images, size)]
    return np.concatenate(parts)[: len(images)]


def time_interleaved(
    graphs: dict[str, Path], image: Images, repeats: int = 100
) -> dict[str, float]:
    """Median milliseconds a run of each graph, measured in turns so that noise hits all alike.

    Args:
        graphs: By name.
        image: The batch (N, C, H, W) to run.
        repeats: Runs of each graph, after a tenth as many to warm up.
    """
    sessions = {name: open_session(path) for name, path in graphs.items()}
    times: dict[str, list[float]] = {name: [] for name in graphs}
    for turn in range(repeats + repeats // 10):
        for name, session in sessions.items():
            started = time.perf_counter()
            session.run(["logits"], {"images": image})
            if turn >= repeats // 10:
                times[name].append(1000 * (time.perf_counter() - started))
    return {name: statistics.median(values) for name, values in times.items()}


def _options() -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return options


def _open(graph: Path, options: Any) -> ort.InferenceSession:
    session = ort.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
    session.disable_fallback()
    if session.get_providers() != ["CPUExecutionProvider"]:
        raise ProviderError(f"{graph.name}: would run on {session.get_providers()}, not on the CPU")
    return session
