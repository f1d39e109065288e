"""Execute every part of a run once, on very few images, and report the results."""

import copy
from dataclasses import asdict, dataclass
from time import perf_counter
from typing import Any

import torch
from torch import Tensor

from base.errors import InputError, first_line
from base.notify import Advance
from pipeline.config.schema import RunConfig
from pipeline.config.weight_range import half_range
from pipeline.dry_run.costs import Stage, TrainingCosts
from pipeline.dry_run.graph_trial import export_forms, run_graphs
from pipeline.dry_run.network_summary import NetworkSummary, summarise
from pipeline.dry_run.pass_times import (
    NetworkTimes,
    PassTimer,
    process_age,
    resident_bytes,
    trial_images,
)
from pipeline.dry_run.trial_rounds import run_trial_rounds
from pipeline.input_checks.input_warnings import input_warnings
from pipeline.quantization.bias_snapping import snap_biases
from pipeline.quantization.fake_quantizers import add_quantizers
from pipeline.quantization.quantize_student import make_scheme
from pipeline.reporter import Reporter, counting
from pipeline.teachers.network_checks import Networks, check_networks
from pipeline.teachers.networks import image_spec
from pipeline.tracing.batch_norm_folding import fixed_form
from pipeline.tracing.function_graph import FunctionGraph
from pipeline.tracing.weight_baking import copy_with_plain_weights
from pipeline.training.network_precision import network_precision
from pipeline.training.resumable_training import chosen_device
from targets.lint.linter import lint_model

TRAINING_PARTS, GRAPH_PARTS = 6, 5
"""Parts of a dry run, which its progress counts."""


@dataclass(frozen=True)
class DryRun:
    """The results of a dry run.

    Attributes:
        teacher_notes: What was found in the teacher's file and matters for the run.
        warnings: What is probably wrong with the input section or the teacher.
        network: The student.
        start: How much of the student comes from the teacher; None with random weights.
        slow: Lint warnings about operations that are slow on TensorRT.
        stages: Estimated time and memory of each stage.
        memory_bytes: Estimated peak memory of the run.
    """

    teacher_notes: tuple[str, ...]
    warnings: tuple[str, ...]
    network: NetworkSummary
    start: str | None
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
    scheme = make_scheme(config, half_range=half_range(config))
    started = perf_counter()
    root = fixed_form(student.to(device), images[:2])
    prepared = copy.deepcopy(root)
    add_quantizers(prepared, images, scheme)
    placing_s = perf_counter() - started
    summary = summarise(student, FunctionGraph(root, images[:2]), scheme)
    # A run also imports the libraries, loads the networks, traces them and places quantizers.
    start = Stage("start", process_age(), 0)
    advance(1)
    run_trial_rounds(config, networks, prepared, len(images), device)
    advance(1)
    precision = network_precision(config, networks.teacher, images)
    teacher_times = NetworkTimes(
        PassTimer(networks.teacher, images, precision, training=True),
        PassTimer(networks.teacher, images),
    )
    of_student = network_precision(config, student, images)
    student_times = NetworkTimes(
        PassTimer(student, images, of_student, training=True, learns=True),
        PassTimer(student, images, learns=True),
    )
    advance(1)
    costs = TrainingCosts(config, teacher_times, student_times, device, placing_s, precision)
    stages, slow = [start, *costs.stages()], []
    advance(1)
    if config.quantize.exported:
        snap_biases(prepared.eval(), images[:2])
        started = perf_counter()
        advance(1)
        forms = export_forms(config, root.cpu(), prepared.cpu(), advance)
        findings = lint_model(forms["int8-float-weights"])
        slow = [str(f).removeprefix("warning: ") for f in findings if f.severity == "warning"]
        stages.append(Stage("export", perf_counter() - started, 0))
        stages += run_graphs(config, forms, root, prepared, images.cpu(), advance)
    needed = max(stage.bytes for stage in stages)
    notes, slowly = networks.notes, tuple(slow)
    memory = resident_bytes() + needed
    origin = None if networks.start is None else str(networks.start)
    return DryRun(notes, warnings, summary, origin, slowly, tuple(stages), memory)


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
