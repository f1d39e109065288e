"""Make the manifest of a bundle: files with digests, results of each target, the run's verdict."""

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from base.file_digest import file_digest
from pipeline.bundle.recommendation import recommend
from pipeline.config.schema import RunConfig
from pipeline.roles import PRECISIONS
from pipeline.store.step_record import StepRecord, digest
from targets.bundle.bundle_files import Manifest
from targets.bundle.verdict import Outcome


def make_manifest(
    config: RunConfig,
    records: dict[str, StepRecord],
    engines: dict[str, StepRecord],
    verdicts: dict[str, Any],
    folder: Path,
) -> Manifest:
    """Return the manifest of the files in a folder.

    Args:
        config: The run file.
        records: The records of the steps, by step label.
        engines: The records of engines that devices built, or of pending ones, by target name.
        verdicts: The content of each verdict.json, by target name; empty below 8 bits.
        folder: The bundle, complete but for its manifest and report.
    """
    files = {
        str(path.relative_to(folder)): file_digest(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    notes = {step: record.notes for step, record in records.items()}
    return {
        "name": config.name,
        "bundle": digest(files),
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "teacher": {
            "architecture": notes["teacher"]["name"],
            "fingerprint": notes["teacher"]["fingerprint"],
            "class_names": list(config.teacher.class_names),
        },
        "student": notes.get("distill", notes["teacher"])["name"],
        "warnings": notes["teacher"].get("warnings", []),
        "health": [line for step_notes in notes.values() for line in _health_events(step_notes)],
        "input": config.input.model_dump(mode="json"),
        "run": config.model_dump(mode="json", exclude={"teacher": {"weights"}}),
        "gate": notes.get("probe", {}).get("gate"),
        "hops": notes.get("hops", {}).get("hops", {}),
        "layer_errors": notes.get("hops", {}).get("layer_errors", {}),
        "verdict": worst_verdict(verdicts),
        "targets": {
            name: {
                **_target_entry(notes[f"compile {name}"], verdicts[name], folder, name),
                "confusions": notes[f"validate {name}"]["confusions"],
            }
            for name in verdicts
        },
        "engines": {name: record.notes for name, record in engines.items()},
        "files": files,
    }


def worst_verdict(verdicts: dict[str, Any]) -> dict[str, Any] | None:
    """Return the run's verdict: the worst verdict on an int8 model, with its target.

    Args:
        verdicts: The content of each verdict.json, by target name.

    Returns:
        The verdict, or None if nothing was compiled.
    """
    if not verdicts:
        return None
    severity = [Outcome.FAIL, Outcome.INCONCLUSIVE, Outcome.PASS]
    name = min(
        verdicts,
        key=lambda target: (
            severity.index(verdicts[target]["int8"]["outcome"]),
            verdicts[target]["int8"]["agreement"],
        ),
    )
    return {"target": name, **verdicts[name]["int8"]}


def _health_events(notes: dict[str, Any]) -> list[str]:
    """Return the events of collapse and roll-back in every training phase of a step."""
    phases = [notes, *(part for part in notes.values() if isinstance(part, dict))]
    return [line for phase in phases for line in phase.get("health", [])]


def _target_entry(
    notes: dict[str, Any], verdicts: dict[str, Any], folder: Path, name: str
) -> dict[str, Any]:
    """Return the results of a CPU target.

    Timings are recorded here only: they are excluded from the bundle's digest.
    """
    times = notes["milliseconds"]
    models = {
        precision: {
            "file": f"targets/{name}/model.{precision}.onnx",
            "bytes": (folder / f"targets/{name}/model.{precision}.onnx").stat().st_size,
            "milliseconds": times[precision],
            "outcome": verdicts[precision]["outcome"],
            "agreement": verdicts[precision]["agreement"],
            **notes[precision],
        }
        for precision in PRECISIONS
    }
    return {
        "machine": notes["fingerprint"],
        "threads": notes["threads"],
        "batch": notes["batch"],
        **models,
        **recommend(verdicts, times),
    }
