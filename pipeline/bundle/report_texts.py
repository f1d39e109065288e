"""Sentences and rows of the report."""

from collections.abc import Iterator
from typing import Any

import yaml

from pipeline.bundle.hop_losses import hop_losses, loss_sentence
from pipeline.bundle.recommendation import recommendation_sentence
from pipeline.bundle.run_figures import TargetFigures, run_figures
from pipeline.bundle.run_tables import latency_text, shown_bytes, size_text
from pipeline.reporter import shown_name
from pipeline.store.step_record import StepRecord
from targets.bundle.bundle_files import Manifest
from targets.bundle.verdict import Outcome, wilson

ANSWERS = {
    Outcome.PASS: "May ship",
    Outcome.FAIL: "Must not ship",
    Outcome.INCONCLUSIVE: "Not decided",
}
"""Whether a student may ship, by the outcome of its verdict."""


def verdict_sentence(manifest: Manifest) -> str:
    """Return the verdict as one sentence for readers without knowledge of the method.

    Args:
        manifest: The manifest of a bundle with a verdict.
    """
    verdict = manifest["verdict"]
    outcome = Outcome(verdict["outcome"])
    sentence = (
        f"{ANSWERS[outcome]}: the int8 student gives the same answer as its teacher on "
        f"{100 * verdict['agreement']:.1f} % of {verdict['images']:,} synthetic test images; "
        f"at least {100 * verdict['threshold']:g} % is required"
    )
    if outcome is Outcome.INCONCLUSIVE:
        return f"{sentence}, and {verdict.get('because', 'the test images do not decide it')}."
    return f"{sentence}."


def subject_sentence(manifest: Manifest) -> str:
    """Return what was distilled from what."""
    teacher = _in_brackets(manifest["teacher"]["architecture"])
    if manifest["run"]["student"] == "same":
        return f"The teacher itself, {teacher}, was quantized to 8 bits, without distillation."
    recipe = manifest["run"]["distill"]["recipe"]
    return (
        f"The student {_in_brackets(manifest['student'])} was distilled from the teacher {teacher} "
        f"with the recipe {recipe}, without real images, and quantized to 8 bits."
    )


def _in_brackets(architecture: str) -> str:
    """Return "lenet5, 61,706 parameters" as "lenet5 (61,706 parameters)"."""
    name, comma, parameters = architecture.partition(", ")
    return f"{name} ({parameters})" if comma else name


def cost_rows(manifest: Manifest) -> list[dict[str, str]]:
    """Return for each target its name, size, latency, setting and recommendation."""
    figures = run_figures(manifest).targets
    rows = []
    for name, target in manifest["targets"].items():
        threads = "1 thread" if target["threads"] == 1 else f"{target['threads']} threads"
        integer = target["int8"]["integer_layers"]
        rows.append(
            {
                "name": name,
                "machine": str(target["machine"].get("cpu", "")),
                "size_words": size_words(figures[name]),
                "latency_words": latency_words(figures[name]),
                "size": size_text(figures[name]),
                "latency": latency_text(figures[name]),
                "measured": f"batch {target['batch']}, {threads}",
                "kernels": "not known: this machine has another CPU"
                if integer is None
                else f"{integer} of {len(target['int8']['layers'])} layers",
                "recommendation": recommendation_sentence(target),
            }
        )
    return rows


def engine_rows(manifest: Manifest) -> list[tuple[str, str, str, str]]:
    """Return target, precision, latency and agreement of each engine that a device built."""
    rows = []
    for name, entry in manifest["engines"].items():
        for precision, engine in entry.get("engines", {}).items():
            latency = f"{engine['milliseconds']:.3f} ms (batch {engine['batch']})"
            rows.append((name, precision, latency, f"{100 * engine['verdict']['agreement']:.2f} %"))
    return rows


def cost_of_training_rows(records: dict[str, StepRecord]) -> list[tuple[str, ...]]:
    """Return name, student steps, images, teacher passes and seconds of each training phase."""
    return [
        (
            label,
            *(f"{notes['cost'][unit]:,}" for unit in ("student_steps", "images", "teacher_passes")),
            f"{notes['seconds']:,.1f}",
        )
        for label, notes in training_notes(records)
    ]


def training_notes(records: dict[str, StepRecord]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield name and notes of each training phase, in the order of the run."""
    for step, record in records.items():
        phases = {"": record.notes} | {
            name: part for name, part in record.notes.items() if isinstance(part, dict)
        }
        for name, notes in phases.items():
            if notes.get("curve"):
                label = name if name.startswith(step) else f"{shown_name(step)} {name}"
                yield label.strip(), notes


def size_words(target: TargetFigures) -> str:
    """Return the size of the int8 model against the float32 model's in plain words."""
    sizes = f"{shown_bytes(target.int8_bytes)} instead of {shown_bytes(target.fp32_bytes)}"
    if not target.size_ratio:
        return sizes
    return f"{sizes} ({_change(100 * (target.size_ratio - 1), 'smaller', 'larger')})"


def latency_words(target: TargetFigures) -> str:
    """Return the latency of the int8 model against the float32 model's in plain words."""
    if target.int8_ms is None or target.fp32_ms is None or not target.speedup:
        return "not measured, because this machine has another CPU"
    times = f"{target.int8_ms:.3f} ms instead of {target.fp32_ms:.3f} ms"
    return f"{times} ({_change(100 * (1 / target.speedup - 1), 'shorter', 'longer')})"


def _change(percent: float, less: str, more: str) -> str:
    return f"{abs(percent):.0f} % {less if percent < 0 else more}"


def family_rows(manifest: Manifest) -> list[tuple[str, int, float, float, float]]:
    """Return name, number of probes, agreement and its interval for each probe generator.

    `gate.images` are divided equally; the last generators draw the images that are left over.
    """
    verdict, gate = manifest["verdict"], manifest["run"]["gate"]
    rows = []
    for index, share in enumerate(verdict["per_generator"]):
        count = (gate["images"] + index) // gate["generators"]
        low, high = wilson(round(share * count), count, verdict["confidence"])
        rows.append((f"generator {index + 1}", count, share, low, high))
    return rows


def layer_rows(manifest: Manifest, target: str) -> list[dict[str, Any]]:
    """Return name, kernel, quantization error and time share of each layer of the int8 model.

    The error and the share are None if they were not measured.
    """
    errors = manifest.get("layer_errors", {})
    return [
        {
            "layer": layer["layer"],
            "kernel": layer["kernel"] or "chosen on the target",
            "error": errors.get(layer["layer"]),
            "time_share": layer.get("time_share"),
        }
        for layer in manifest["targets"][target]["int8"]["layers"]
    ]


def lineage_rows(records: dict[str, StepRecord]) -> list[tuple[str, str, str, str]]:
    """Return step, file and sha256 of everything the steps made, and whether it was reused."""
    return [
        (
            shown_name(label),
            artifact.name,
            artifact.sha256,
            "reused" if record.notes.get("reused") else "made in this run",
        )
        for label, record in records.items()
        for artifact in record.artifacts.values()
    ]


def repeat_command(manifest: Manifest) -> str:
    """Return the command that repeats the run with the file of `run_file_text`."""
    return f"datafree-edge run run.yaml --output bundles/{manifest['name']}"


def run_file_text(manifest: Manifest) -> str:
    """Return the run file with all values, but for the path of the weights.

    The path is no part of a bundle. The fingerprint identifies the teacher.
    """
    run = manifest["run"]
    weights = f"PATH OF THE TEACHER WITH FINGERPRINT {manifest['teacher']['fingerprint'][:12]}"
    whole = {**run, "teacher": {"weights": weights, **run["teacher"]}}
    return yaml.safe_dump(_without_none(whole), sort_keys=False, allow_unicode=True)


def loss_line(manifest: Manifest) -> str:
    """Return where agreement was lost, as one or two sentences."""
    hops = hop_losses(manifest)
    if not hops:
        return "Not measured: the bundle was written by an earlier version."
    worst = max(hops, key=lambda hop: hop.loss)
    sentence = loss_sentence(hops)
    return f"{sentence} Most was lost by {worst.cause}." if worst.loss >= 0.05 else sentence


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_none(item) for name, item in value.items() if item is not None}
    return value
