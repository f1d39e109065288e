"""Export the student's graphs, and run them in ONNX Runtime on a few images."""

from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import onnx
import torch
from torch import Tensor

from base.errors import InputError, first_line
from base.full_disk import temporary_folder
from base.notify import Advance
from pipeline.config.chosen_targets import cpu_targets
from pipeline.config.schema import RunConfig
from pipeline.dry_run.costs import Stage
from pipeline.export.graph_forms import int8_forms, to_graph
from pipeline.quantization.fake_quantizers import to_torch_quantizers
from pipeline.teachers.networks import image_spec
from pipeline.tracing.fixed_form import FixedForm
from targets.cpu.parity import PARITY_PROBES
from targets.cpu.session import open_session, predict, rewrite_graph_file
from targets.lint.linter import errors, lint_model

MAX_GRAPH_ERROR = 0.02
"""Largest error of the float graph's logits, relative to their root mean square. The int8 graph may
have ten times this error."""

TIMED_RUNS = 110
"""Single-image runs of the two graphs that `compile` times."""


def export_forms(
    config: RunConfig, root: FixedForm, prepared: FixedForm, advance: Advance
) -> dict[str, onnx.ModelProto]:
    """Export the forms with float32.

    Args:
        config: The run file.
        root: The float student.
        prepared: The fake-quantized student, with its biases on the grid of integer kernels.
        advance: Receives the number of finished parts, 1 after each of two exports.

    Raises:
        InputError: If a network cannot be exported, or TensorRT would refuse an int8 form.
    """
    spec = image_spec(config.input)
    try:
        float_graph = to_graph(root, config, spec)
        advance(1)
        int8_graph = to_graph(to_torch_quantizers(prepared), config, spec)
        advance(1)
        forms = {"fp32": float_graph, **int8_forms(int8_graph)}
    except InputError:
        raise
    except Exception as error:  # The exporter raises many types.
        raise InputError(
            f"student: cannot be exported to ONNX: {first_line(error)}; replace the operation in "
            "the network's forward method"
        ) from None
    for name, model in forms.items():
        faults = errors(lint_model(model))
        if faults:
            raise InputError(
                f"export: student.{name}.onnx: {faults[0]} ({len(faults)} in all); "
                "replace the operation in the network, or keep its layer in float with "
                "quantize.float_layers"
            )
    return forms


def run_graphs(
    config: RunConfig,
    forms: dict[str, onnx.ModelProto],
    root: FixedForm,
    prepared: FixedForm,
    images: Tensor,
    advance: Advance,
) -> list[Stage]:
    """Run the graphs in ONNX Runtime, and estimate the stages that only run graphs.

    Args:
        config: The run file.
        forms: The graphs.
        root: The float student.
        prepared: The fake-quantized student.
        images: Normalised images (N, C, H, W).
        advance: Receives the number of finished parts, 1 after each of two graphs.

    Raises:
        InputError: If ONNX Runtime cannot run a graph, or gives other logits than the network.
    """
    given = _pixels(config, images) if config.export.preprocessing else images.numpy()
    networks = {"fp32": root, "int8-cpu": to_torch_quantizers(prepared)}
    seconds: dict[str, float] = {}
    targets = cpu_targets(config)
    with temporary_folder() as folder:
        for form, network in networks.items():
            path = folder / f"{form}.onnx"
            onnx.save(forms[form], path)
            with torch.no_grad():
                expected = network(images).numpy()
            try:
                seconds[form] = _compare(form, path, given, expected)
                fast = rewrite_graph_file(
                    path, path.with_suffix(".rewritten.onnx"), next(iter(targets.values())).cpu
                )
                seconds[f"{form} compiled"] = _timed(fast, given)
            except InputError:
                raise
            except Exception as error:  # ONNX Runtime raises its own types.
                raise InputError(
                    f"student: ONNX Runtime cannot run the {form} graph: {first_line(error)}; "
                    "keep the layer in float with quantize.float_layers"
                ) from None
            advance(1)
    both = seconds["fp32 compiled"] + seconds["int8-cpu compiled"]
    probes = min(PARITY_PROBES, config.gate.images)
    # One pass of the float student and two of the quantized one: in torch and as exported.
    hops = config.gate.images * (seconds["fp32"] + 2 * seconds["int8-cpu"])
    stages = [Stage("hops", hops, 0)]
    for target in targets:
        compiled = probes * sum(seconds.values()) + TIMED_RUNS * both
        stages.append(Stage(f"compile {target}", compiled, 0))
        stages.append(Stage(f"validate {target}", config.gate.images * both, 0))
    return stages


def _pixels(config: RunConfig, images: Tensor) -> Any:
    spec = image_spec(config.input)
    low, high = spec.value_range
    levels = 255 * (spec.denormalise(images) - low) / (high - low)
    return levels.round().clamp(0, 255).to(torch.uint8).numpy()


def _compare(form: str, path: Path, images: Any, expected: Any) -> float:
    """Return the seconds for one image; raise InputError if the graph gives other logits."""
    session = open_session(path, optimized=False, threads=0)
    started = perf_counter()
    actual = predict(session, images)
    seconds = (perf_counter() - started) / len(images)
    size = float(np.sqrt(np.mean(np.square(expected))))
    error = float(np.sqrt(np.mean(np.square(actual - expected))))
    # Values close to a rounding boundary can move by one step, so int8 logits differ more.
    allowed = MAX_GRAPH_ERROR * (1 if form == "fp32" else 10)
    if images.dtype == np.float32 and not error <= allowed * size + 1e-6:
        raise InputError(
            f"student: the exported {form} graph gives other logits than the network (root mean "
            f"square of the difference {error:.3g}, of the logits {size:.3g}); the network's "
            "forward method does something that a graph cannot express, such as a random number "
            "or a branch"
        )
    return seconds


def _timed(path: Path, images: Any) -> float:
    session = open_session(path, threads=0)
    predict(session, images)
    started = perf_counter()
    predict(session, images)
    return (perf_counter() - started) / len(images)
