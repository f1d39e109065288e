"""Compile, open and time graphs with ONNX Runtime on this machine's CPU."""

import math
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

from base.notify import Advance, ignore
from targets.bundle.golden import MAX_CHUNK_VALUES, Golden, full_batches
from targets.catalogue.instruction_sets import Cpu
from targets.graph.graph_file import read_graph
from targets.graph.integer_relu import with_integer_relus
from targets.graph.non_negative_activations import with_unsigned_non_negatives
from targets.graph.unsigned_activations import with_unsigned_activations

Images = NDArray[np.float32] | NDArray[np.uint8]
Logits = NDArray[np.float32]

INTEGER_KERNELS = {"QLinearConv", "QLinearMatMul", "QGemm", "MatMulIntegerToFloat", "ConvInteger"}
FLOAT_KERNELS = {"Conv", "FusedConv", "Gemm", "FusedGemm", "MatMul"}


MAX_BATCH = 100
"""Largest number of images in one run."""


class ProviderError(RuntimeError):
    """ONNX Runtime did not use the requested execution provider."""


@dataclass(frozen=True)
class CompiledGraph:
    """A graph compiled for this CPU.

    Attributes:
        path: The optimized graph.
        layers: Name and kernel of every convolution and linear layer, in order.
    """

    path: Path
    layers: list[tuple[str, str]]

    @property
    def integer_layers(self) -> int:
        """Number of layers that run on integer kernels."""
        return sum(kernel in INTEGER_KERNELS for _, kernel in self.layers)


def cpu_fingerprint(cpu: Cpu) -> dict[str, str]:
    """Return what a compiled graph and its timings depend on."""
    return {"cpu": cpu.model, "int8": cpu.int8, "onnxruntime": ort.__version__}


def rewrite_for_cpu(model: ModelProto, cpu: Cpu) -> ModelProto:
    """Rewrite a Q/DQ graph into the fastest form for a CPU.

    x86 needs unsigned activations. Those that are never negative get twice as many levels there.
    ARM multiplies signed bytes just as fast; there every value stays the same.

    Args:
        model: Changed in place.
        cpu: The CPU that will run it.

    Returns:
        The same model.
    """
    if not cpu.is_x86:
        return with_integer_relus(model)
    return with_unsigned_activations(with_integer_relus(with_unsigned_non_negatives(model)))


def rewrite_graph_file(graph: Path, rewritten: Path, cpu: Cpu) -> Path:
    """Write the result of `rewrite_for_cpu` to a new file and return its path."""
    onnx.save(rewrite_for_cpu(read_graph(graph), cpu), rewritten)
    return rewritten


def compile_graph(graph: Path, compiled: Path) -> CompiledGraph:
    """Write a graph after ONNX Runtime's fusions, and list which layers became integer.

    Layout optimizations are not stored, because they depend on the CPU; they are made at load time.

    Args:
        graph: The graph to compile.
        compiled: The file to write.
    """
    options = _options()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(compiled)
    _open(graph, options)
    kernels = INTEGER_KERNELS | FLOAT_KERNELS
    nodes = read_graph(compiled).graph.node
    return CompiledGraph(compiled, [(n.name, n.op_type) for n in nodes if n.op_type in kernels])


def open_session(
    graph: Path, optimized: bool = True, threads: int = 1, profile: Path | None = None
) -> ort.InferenceSession:
    """Open a graph for inference on the CPU.

    Args:
        graph: An ONNX file with input `images` and output `logits`.
        optimized: False runs the graph as written, as a reference for its values.
        threads: Threads of a run, one by default, as for timing; 0 for one per core.
        profile: Start of the path of the profiler's file, which `end_profiling` writes; None does
            not profile.

    Raises:
        ProviderError: If ONNX Runtime would not run it on the CPU.
    """
    options = _options()
    options.intra_op_num_threads = threads
    if not optimized:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    if profile is not None:
        options.enable_profiling = True
        options.profile_file_prefix = str(profile)
    return _open(graph, options)


def predict_golden(
    session: ort.InferenceSession, golden: Golden, advance: Advance = ignore
) -> Logits:
    """Return logits (N, K) for the probes; a graph with its own normalization gets pixels.

    Args:
        session: An opened graph.
        golden: The probes.
        advance: Receives the number of images after each batch.
    """
    takes_pixels = session.get_inputs()[0].type == "tensor(uint8)"
    if takes_pixels:
        return predict(session, golden.pixels, advance)
    size = golden.chunk_size
    chunks = [golden.pixels[start : start + size] for start in range(0, len(golden.pixels), size)]
    return np.concatenate([predict(session, golden.normalise(chunk), advance) for chunk in chunks])


def predict(session: ort.InferenceSession, images: Images, advance: Advance = ignore) -> Logits:
    """Return logits (N, K) for images (N, C, H, W).

    Args:
        session: An opened graph.
        images: Normalized float32 images, or uint8 pixels if the graph normalizes.
        advance: Receives the number of images after each batch.
    """
    fixed = session.get_inputs()[0].shape[0]
    size = fixed if isinstance(fixed, int) else min(batch_size(images.shape), len(images))
    parts = []
    for number, part in enumerate(full_batches(images, size)):
        parts.append(session.run(["logits"], {"images": part})[0])
        advance(min(size, len(images) - number * size))
    return np.concatenate(parts)[: len(images)]


def batch_size(shape: tuple[int, ...]) -> int:
    """Return how many images (N, C, H, W) of a shape to run at a time."""
    return max(1, min(MAX_BATCH, MAX_CHUNK_VALUES // math.prod(shape[1:])))


def time_interleaved(
    graphs: dict[str, Path],
    images: Images,
    repeats: int = 100,
    threads: int = 1,
    advance: Advance = ignore,
) -> dict[str, float]:
    """Return each graph's median milliseconds per run; runs alternate to share noise equally.

    Args:
        graphs: Graph files by name.
        images: The batch (N, C, H, W) to run.
        repeats: Timed runs of each graph, after a tenth as many warm-up runs.
        threads: Threads of each session.
        advance: Receives 1 after each run of all graphs.
    """
    sessions = {name: open_session(path, threads=threads) for name, path in graphs.items()}
    times: dict[str, list[float]] = {name: [] for name in graphs}
    for turn in range(repeats + repeats // 10):
        for name, session in sessions.items():
            started = time.perf_counter()
            session.run(["logits"], {"images": images})
            if turn >= repeats // 10:
                times[name].append(1000 * (time.perf_counter() - started))
        advance(1)
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
