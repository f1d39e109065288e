"""The bundle: all that a run hands over, in one folder with a manifest.

manifest.json                   what is what, with the sha256 of every file
graphs/student.*.onnx           the student as exported, in every form (steps/export.py)
targets/NAME/model.*.onnx       the student as compiled for a target
targets/NAME/verdict.json       what came of the probes there
targets/NAME/student.*.engine   what a device built, with its report.json and all that goes with it
golden.npz                      the probes, with the teacher's answers; not where they are private
torch/quantized.*               below 8 bits: the fake-quantized student, and nothing else
report.html                     the same for people
manifest.sig                    the signer's, where there is one
"""

import json
import shutil
import uuid
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from base.errors import InputError
from base.file_digest import file_digest
from pipeline.bundle.folder_swap import beside, recover, swap
from pipeline.bundle.report import write_report
from pipeline.bundle.signature import sign_if_asked
from pipeline.config.chosen_targets import cpu_targets
from pipeline.config.schema import RunConfig
from pipeline.roles import PRECISIONS
from pipeline.store.step_record import Artifact, StepRecord, digest
from pipeline.store.store import Store
from targets.bundle import bundle_files
from targets.bundle.bundle_files import MANIFEST, REPORT_PAGE, Manifest
from targets.bundle.golden import GOLDEN
from targets.bundle.verdict import Outcome

NEEDED: dict[str, type | tuple[type, ...]] = {
    **{"name": str, "bundle": str},
    **dict.fromkeys(("run", "teacher", "targets", "engines"), dict),
    "verdict": (dict, type(None)),
}
"""What the manifest of a run's bundle has beside its files, and of what type."""

FASTER = 1.05
"""int8 is recommended when it is faster than fp32 by this factor: less is noise."""


def write_bundle(
    config: RunConfig,
    records: dict[str, StepRecord],
    engines: dict[str, StepRecord],
    store: Store,
    output: Path,
) -> Manifest:
    """Put a run's artifacts together under `output`, in place of an earlier bundle there.

    Args:
        config: The run file.
        records: What the steps made, by their labels.
        engines: What devices sent back, or that it is pending, by the names in the run file.
        store: Where the artifacts lie.
        output: The bundle's folder.

    Raises:
        InputError: When `output` cannot be written, or holds something that is no bundle.
    """
    output = output.absolute()
    check_output(output)
    written = beside(output, "part")
    try:
        for artifact, place in [*_places(config, records), *_engine_places(engines)]:
            (written / place).parent.mkdir(parents=True, exist_ok=True)
            path = store.get(artifact, (written / place).parent)
            path.rename(written / place)
        verdicts = (
            {}
            if not config.quantize.exported
            else {
                target: json.loads((written / f"targets/{target}/verdict.json").read_text())
                for target in cpu_targets(config)
            }
        )
        manifest = _manifest(config, records, engines, verdicts, written)
        if manifest["verdict"]:
            write_report(manifest, records, written)
            manifest["report"] = file_digest(written / REPORT_PAGE)
        (written / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")
        sign_if_asked(written)
        swap(written, output)
    finally:
        shutil.rmtree(written, ignore_errors=True)
    return manifest


def check_output(output: Path) -> None:
    """Refuse, before any work is done, a place where no bundle could be written.

    Raises:
        InputError: Naming the place and the remedy.
    """
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        probe = output.parent / f".{uuid.uuid4().hex}.part"
        probe.mkdir()
        probe.rmdir()
    except OSError as error:
        raise InputError(
            f"output {output}: cannot be written ({error.strerror}); choose another by --output"
        ) from None
    recover(output)
    empty = output.is_dir() and not any(output.iterdir())
    if output.exists() and not empty and not (output / MANIFEST).is_file():
        raise InputError(f"output {output}: exists and is no bundle; choose another by --output")


def open_bundle(folder: Path) -> Manifest:
    """Read a bundle's manifest and check every file against it.

    Raises:
        InputError: When it is no bundle, or a file is missing, changed or outside the folder.
    """
    recover(folder)
    try:
        manifest = bundle_files.open_bundle(folder)
    except bundle_files.BundleError as error:
        raise InputError(str(error)) from None
    for name, kind in NEEDED.items():
        if name not in manifest or not isinstance(manifest[name], kind):
            raise InputError(
                f"{folder}: no bundle of a run, or another version's (its manifest has no "
                f"{name!r}, or not such a one); run again"
            )
    return manifest


def _places(config: RunConfig, records: dict[str, StepRecord]) -> list[tuple[Artifact, str]]:
    if not config.quantize.exported:
        made = records["quantize"].artifacts.values()
        return [(artifact, f"torch/{artifact.name}") for artifact in made]
    graphs = records["export"].artifacts
    places = [(graph, f"graphs/student.{role}.onnx") for role, graph in graphs.items()]
    if not config.private:
        places.append((records["probe"].artifacts["golden"], GOLDEN))
    for target in cpu_targets(config):
        for precision in ("fp32", "int8"):
            place = f"targets/{target}/model.{precision}.onnx"
            compiled = records[f"compile {target}"].artifacts[f"compiled-{precision}"]
            places.append((compiled, place))
        verdict = records[f"validate {target}"].artifacts["verdict"]
        places.append((verdict, f"targets/{target}/verdict.json"))
    return places


def _engine_places(engines: dict[str, StepRecord]) -> list[tuple[Artifact, str]]:
    return [
        (artifact, f"targets/{name}/{artifact.name}")
        for name, record in engines.items()
        for artifact in record.artifacts.values()
    ]


def _manifest(
    config: RunConfig,
    records: dict[str, StepRecord],
    engines: dict[str, StepRecord],
    verdicts: dict[str, Any],
    folder: Path,
) -> Manifest:
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
        "health": [line for noted in notes.values() for line in _health(noted)],
        "input": config.input.model_dump(mode="json"),
        "run": config.model_dump(mode="json", exclude={"teacher": {"weights"}}),
        "verdict": _worst(verdicts),
        "targets": {
            name: _target_entry(notes[f"compile {name}"], verdicts[name], folder, name)
            for name in verdicts
        },
        "engines": {name: record.notes for name, record in engines.items()},
        "files": files,
    }


def _health(notes: dict[str, Any]) -> list[str]:
    """What every phase of a step has to say of its training."""
    phases = [notes, *(part for part in notes.values() if isinstance(part, dict))]
    return [line for phase in phases for line in phase.get("health", [])]


def _worst(verdicts: dict[str, Any]) -> dict[str, Any] | None:
    """The run's verdict: that of the int8 artifact which does worst, with its target.

    None where nothing was compiled.
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


def _target_entry(
    notes: dict[str, Any], verdicts: dict[str, Any], folder: Path, name: str
) -> dict[str, Any]:
    """What a target runs. Timings stand here only, under no digest."""
    times = notes["milliseconds"]
    entry = {
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
        **entry,
        **_recommendation(verdicts, times),
    }


def _recommendation(
    verdicts: dict[str, Any], times: dict[str, float | None]
) -> dict[str, str | None]:
    passed = [p for p in PRECISIONS if verdicts[p]["outcome"] == "pass"]
    if not passed:
        return {"recommended": None, "because": "neither form passed"}
    fp32, int8 = times["fp32"], times["int8"]
    if len(passed) == 2 and (fp32 is None or int8 is None):
        return {"recommended": "int8", "because": "smaller, and it passed; not timed here"}
    if len(passed) == 2 and fp32 is not None and int8 is not None and fp32 < FASTER * int8:
        return {"recommended": "fp32", "because": "int8 is not faster here"}
    reasons = {"int8": "faster, and it passed", "fp32": "int8 did not pass"}
    reason = reasons[passed[0]] if len(passed) == 2 or passed == ["fp32"] else "fp32 did not pass"
    return {"recommended": passed[0], "because": reason}
