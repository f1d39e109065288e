"""The artifacts on a run's page: verdict, stages, engines, layers and progress."""

import re
import time
from pathlib import Path
from uuid import UUID

from prefect.artifacts import (
    create_link_artifact,
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)

from base.notify import Notify
from pipeline.bundle.summary import summary_rows
from pipeline.store.step_record import StepRecord
from pipeline.training.progress import LineReporter
from targets.bundle.bundle_files import Manifest

UPDATE_INTERVAL_S = 5.0
"""Time between two updates of a progress bar."""


class PageReporter(LineReporter):
    """Write progress to the run's log, and as a bar for each phase to the run's page.

    Args:
        write: Receives the lines of the log.
        step: Label of the step.
    """

    def __init__(self, write: Notify, step: str) -> None:
        super().__init__(write)
        self._step, self._phase, self._updated_at, self._is_off = step, "", 0.0, False
        self._bar: UUID | None = None

    def phase(self, name: str, done: float, total: int, losses: dict[str, float]) -> None:
        """Write a line and update the bar, each if its interval is over."""
        super().phase(name, done, total, losses)
        now = time.monotonic()
        if name == self._phase and done < total and now - self._updated_at < UPDATE_INTERVAL_S:
            return
        self._updated_at = now
        if self._is_off:
            return
        try:
            self._update(name, 100.0 * done / max(total, 1))
        except Exception as error:  # A failing server must not stop the training.
            self._is_off = True
            self.say(f"progress is not shown any more ({type(error).__name__}: {error})")

    def _update(self, name: str, percent: float) -> None:
        if name != self._phase or self._bar is None:
            bar = create_progress_artifact(
                percent, key=_key("progress", self._step), description=f"{self._step}: {name}"
            )
            assert isinstance(bar, UUID)  # Not a coroutine, because no event loop is running.
            self._bar = bar
        else:
            update_progress_artifact(self._bar, percent)
        self._phase = name


def write_page(
    manifest: Manifest, records: dict[str, StepRecord], folder: Path, warn: Notify
) -> None:
    """Write verdict, stages and engines to the page of the current run.

    Args:
        manifest: The bundle's manifest.
        records: The steps' records, by label.
        folder: The bundle's folder.
        warn: Receives a message if the server does not accept the artifacts.
    """
    try:
        _write_artifacts(manifest, records, folder)
    except Exception as error:  # The bundle is complete without its page.
        warn(f"the run's page is incomplete ({type(error).__name__}: {error})")


def _write_artifacts(manifest: Manifest, records: dict[str, StepRecord], folder: Path) -> None:
    rows = [f"| {label} | {value} |" for label, value in summary_rows(manifest, folder)]
    head = [f"# {manifest['name']}", "", "| | |", "| --- | --- |"]
    create_markdown_artifact(
        "\n".join([*head, *rows]),
        key=_key("verdict", manifest["name"]),
        description="Agreement with the teacher on synthetic probes",
    )
    create_link_artifact(
        (folder.resolve() / "report.html").as_uri(),
        link_text="report.html in the bundle's folder",
        key=_key("pictures", manifest["name"]),
        description="Losses, and the generator's images unless the run is private",
    )
    stages = [
        {
            "stage": label,
            "result": "reused" if record.notes.get("reused") else "done",
            "artifacts": ", ".join(f"{a.name} {a.sha256[:12]}" for a in record.artifacts.values()),
        }
        for label, record in records.items()
    ]
    create_table_artifact(stages, key=_key("stages", manifest["name"]))
    for target, layers in layer_tables(manifest).items():
        create_table_artifact(layers, key=_key("layers", f"{manifest['name']}-{target}"))
    engines = [
        {"target": name, **_engine_row(entry)} for name, entry in manifest["engines"].items()
    ]
    if engines:
        create_table_artifact(engines, key=_key("engines", manifest["name"]))


def layer_tables(manifest: Manifest) -> dict[str, list[dict[str, object]]]:
    """Return the layers of each target's int8 form, by target, where they are known."""
    int8 = {name: target["int8"] for name, target in manifest["targets"].items()}
    for name, entry in manifest["engines"].items():
        # An engine for a CPU has one entry, a Jetson one for each of its engines.
        int8[name] = entry.get("engines", entry).get("int8", {})
    return {name: layers for name, form in int8.items() if (layers := form.get("layers"))}


def _engine_row(entry: dict[str, object]) -> dict[str, str]:
    columns = ("engine", "recommended", "because", "unasked", "build")
    return {name: str(entry.get(name, "")) for name in columns}


def _key(kind: str, name: str) -> str:
    """Return an artifact key. Prefect allows lower-case letters, digits and dashes."""
    return f"{kind}-{re.sub('[^a-z0-9]+', '-', name.lower())}".strip("-")
