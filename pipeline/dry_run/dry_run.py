"""Execute every part of a run once, on very few images, and report the results."""

import copy
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from time import perf_counter, process_time
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
from pipeline.config.weight_range import half_range
from pipeline.dry_run.costs import Stage, TrainingCosts, resident_bytes, time_passes, trial_images
from pipeline.dry_run.network_summary import NetworkSummary, summarise
from pipeline.dry_run.trial_rounds import run_trial_rounds
from pipeline.export.graph_forms import int8_forms, to_graph
from pipeline.input_checks.input_warnings import input_warnings
from pipeline.quantization.bias_snapping import snap_biases
from pipeline.quantization.fake_quantizers import add_quantizers, to_torch_quantizers
from pipeline.quantization.quantize_student import make_scheme
from pipeline.quantization.quantizer_kernels import check_compiler
from pipeline.reporter import Reporter, counting
from pipeline.teachers.network_checks import Networks, check_networks
from pipeline.teachers.networks import image_spec
from pipeline.tracing.batch_norm_folding import fixed_form
from pipeline.tracing.fixed_form import FixedForm
from pipeline.tracing.function_graph import FunctionGraph
from pipeline.tracing.weight_baking import copy_with_plain_weights
from pipeline.training.resumable_training import chosen_device
from targets.cpu.parity import PARITY_PROBES
from targets.cpu.session import open_session, predict, rewrite_graph_file
from targets.lint.linter import errors, lint_model

MAX_GRAPH_ERROR = 0.02
"""Largest error of the float graph's logits, relative to their root mean square. The int8 graph may
have ten times this error."""

TRAINING_PARTS, GRAPH_PARTS = 6, 5
"""Parts of a dry run, which its progress counts."""

TIMED_RUNS = 110
"""Single-image runs of the two graphs that `compile` times."""


@dataclass(frozen=True)
class DryRun:
    """The results of a dry run.

    Attributes:
        teacher_notes: What was found in the teacher's file and matters for the run.
        warnings: What is probably wrong with the input section or the teacher.
        network: The student.
        slow: Lint warnings about operations that are slow on TensorRT.
        stages: Estimated time and memory of each stage.
        memory_bytes: Estimated peak memory of the run.
    """

    teacher_notes: tuple[str, ...]
    warnings: tuple[str, ...]
    network: NetworkSummary
    slow: tuple[str, ...]
    stages: tuple[Stage, ...]
    memory_bytes: int

    @property
    def seconds(self) -> float:
        """The estimated time of the whole run."""
        return sum(stage.seconds for stage in self.stages)

    def as_json(self) -> dict[str, Any]:
        """Return everything as JSON."""
        return {**asdict(self), "seconds": self.seconds}


def dry_run(config: RunConfig, reporter: Reporter) -> DryRun:
    """Build, differentiate, quantize, train, export and run the networks of a run file.

    No file is kept.

    Args:
        config: The run file.
        reporter: Receives progress.

    Raises:
        InputError: If the networks, the run file or the targets would make a run fail.
    """
    parts = TRAINING_PARTS + (GRAPH_PARTS if config.quantize.exported else 0)
    with counting(reporter, "check", parts) as advance:
        return _dry_run(config, advance)


def _dry_run(config: RunConfig, advance: Advance) -> DryRun:
    device = chosen_device(config)
    networks = check_networks(config, device)
    warnings = input_warnings(networks.teacher, image_spec(config.input))
    advance(1)
    images = trial_images(config).to(device)
    student = networks.student
    _require_gradient(networks, images[:2])
    if config.student != "same":
        # Distillation uses train mode, in which a network may return other outputs.
        copy_with_plain_weights(student).to(device).train()(images[:2])
    advance(1)
    if config.quantize.kernels == "compiled":
        check_compiler(device)
    # Building the compiled kernels takes a minute; the reference kernels compute the same.
    scheme = replace(make_scheme(config, half_range=half_range(config)), kernels="reference")
    root = fixed_form(student.to(device), images[:2])
    prepared = copy.deepcopy(root)
    add_quantizers(prepared, images, scheme)
    summary = summarise(student, FunctionGraph(root, images[:2]), scheme)
    # A run also imports the libraries, loads the networks, traces them and places quantizers.
    start = Stage("start", process_time(), 0)
    advance(1)
    run_trial_rounds(config, networks, prepared, len(images), device)
    advance(1)
    times = time_passes(networks.teacher, images), time_passes(student, images)
    advance(1)
    stages, slow = [start, *TrainingCosts(config, *times, device).stages()], []
    advance(1)
    if config.quantize.exported:
        snap_biases(prepared.eval(), images[:2])
        started = perf_counter()
        advance(1)
        forms = _graphs(config, root.cpu(), prepared.cpu(), advance)
        findings = lint_model(forms["int8-float-weights"])
        slow = [str(f).removeprefix("warning: ") for f in findings if f.severity == "warning"]
        stages.append(Stage("export", perf_counter() - started, 0))
        stages += _run_graphs(config, forms, root, prepared, images.cpu(), advance)
    needed = max(stage.bytes for stage in stages)
    notes, slowly = networks.notes, tuple(slow)
    memory = resident_bytes() + needed
    return DryRun(notes, warnings, summary, slowly, tuple(stages), memory)


def _require_gradient(networks: Networks, images: Tensor) -> None:
    """Raise InputError if a network's logits have no gradient with respect to the images."""
    for label, network in (("teacher", networks.teacher), ("student", networks.student)):
        given = images.clone().requires_grad_()
        try:
            logits = network(given)
            fault = None if logits.requires_grad else "its logits have no gradient"
            if fault is None:
                (gradient,) = torch.autograd.grad(logits.sum(), given, allow_unused=True)
                if gradient is None:
                    fault = "no gradient reaches the images"
        except RuntimeError as error:
            fault = first_line(error)
        if fault is not None:
            raise InputError(
                f"{label} {type(network).__name__}: {fault}, so no generator can learn from it; "
                "remove torch.no_grad, detach and in-place changes of inputs from its forward "
                "method"
            )


def _graphs(
    config: RunConfig, root: FixedForm, prepared: FixedForm, advance: Advance
) -> dict[str, onnx.ModelProto]:
    """Export the forms with float32.

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


def _run_graphs(
    config: RunConfig,
    forms: dict[str, onnx.ModelProto],
    root: FixedForm,
    prepared: FixedForm,
    images: Tensor,
    advance: Advance,
) -> list[Stage]:
    """Run the graphs in ONNX Runtime, and estimate the stages that only run graphs.

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
    stages = []
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
