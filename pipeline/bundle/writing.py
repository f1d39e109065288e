"""Write a run's artifacts into a bundle."""

import json
import shutil
from pathlib import Path

from base.file_digest import file_digest
from base.full_disk import full_disk_named
from pipeline.bundle.folder_swap import hidden_sibling, swap_folder
from pipeline.bundle.manifest import make_manifest
from pipeline.bundle.opening import check_output
from pipeline.bundle.run_log import log_run
from pipeline.bundle.signature import sign_if_configured
from pipeline.config.chosen_targets import cpu_targets
from pipeline.config.schema import RunConfig
from pipeline.roles import PRECISIONS
from pipeline.store.step_record import Artifact, StepRecord
from pipeline.store.store import Store
from targets.bundle.bundle_files import MANIFEST, REPORT_PAGE, Manifest
from targets.bundle.golden import GOLDEN

OUTPUT_REMEDY = "free some space, or choose another folder with --output"
"""What to do if the disk of the bundle is full."""


def write_bundle(
    config: RunConfig,
    records: dict[str, StepRecord],
    engines: dict[str, StepRecord],
    store: Store,
    output: Path,
) -> Manifest:
    """Write a run's artifacts to a folder, replacing an earlier bundle there, and log the run.

    Args:
        config: The run file.
        records: The records of the steps, by step label.
        engines: The records of engines that devices built, or of pending ones, by target name.
        store: Holds the artifacts, and the log of runs.
        output: The bundle's folder.

    Returns:
        The bundle's manifest.

    Raises:
        InputError: If `output` cannot be written, or holds something other than a bundle.
    """
    output = output.absolute()
    check_output(output)
    written = hidden_sibling(output, "part")
    try:
        with full_disk_named(output.parent, OUTPUT_REMEDY):
            manifest = _write(config, records, engines, store, written, output)
    finally:
        shutil.rmtree(written, ignore_errors=True)
    log_run(store, manifest)
    return manifest


def _write(
    config: RunConfig,
    records: dict[str, StepRecord],
    engines: dict[str, StepRecord],
    store: Store,
    written: Path,
    output: Path,
) -> Manifest:
    for artifact, name in [*_step_files(config, records), *_engine_files(engines)]:
        (written / name).parent.mkdir(parents=True, exist_ok=True)
        path = store.get(artifact, (written / name).parent)
        path.rename(written / name)
    verdicts = (
        {}
        if not config.quantize.exported
        else {
            target: json.loads((written / f"targets/{target}/verdict.json").read_text())
            for target in cpu_targets(config)
        }
    )
    manifest = make_manifest(config, records, engines, verdicts, written)
    if manifest["verdict"]:
        from pipeline.bundle.report import write_report

        write_report(manifest, records, written)
        manifest["report"] = file_digest(written / REPORT_PAGE)
    (written / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")
    sign_if_configured(written)
    swap_folder(written, output)
    return manifest


def _step_files(config: RunConfig, records: dict[str, StepRecord]) -> list[tuple[Artifact, str]]:
    """Return the artifacts of the steps that belong in the bundle, with their names there."""
    if not config.quantize.exported:
        quantized = records["quantize"].artifacts.values()
        return [(artifact, f"torch/{artifact.name}") for artifact in quantized]
    graphs = records["export"].artifacts
    files = [(graph, f"graphs/student.{role}.onnx") for role, graph in graphs.items()]
    if not config.private:
        files.append((records["probe"].artifacts["bundle-golden"], GOLDEN))
    for target in cpu_targets(config):
        for precision in PRECISIONS:
            compiled = records[f"compile {target}"].artifacts[f"compiled-{precision}"]
            files.append((compiled, f"targets/{target}/model.{precision}.onnx"))
        verdict = records[f"validate {target}"].artifacts["verdict"]
        files.append((verdict, f"targets/{target}/verdict.json"))
    return files


def _engine_files(engines: dict[str, StepRecord]) -> list[tuple[Artifact, str]]:
    return [
        (artifact, f"targets/{name}/{artifact.name}")
        for name, record in engines.items()
        for artifact in record.artifacts.values()
    ]
