"""What stands on a run's page: verdict, stages, engines, their layers, progress."""

import re
import time
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

from prefect.artifacts import (
    create_link_artifact,
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)

from pipeline.bundle.report import summary
from pipeline.store.step_record import StepRecord
from pipeline.training.progress import LineReporter
from targets.bundle.bundle_files import Manifest

EVERY = 5.0
"""Seconds between two looks of the server at how far a phase is."""


class PageReporter(LineReporter):
    """Lines for the run's log, and a bar on its page for every phase.

    Args:
        write: Takes a line.
        step: Whose phases they are.
    """

    def __init__(self, write: Callable[[str], None], step: str) -> None:
        super().__init__(write)
        self._step, self._phase, self._told, self._is_off = step, "", 0.0, False
        self._bar: UUID | None = None

    def phase(self, name: str, done: int, total: int, losses: dict[str, float]) -> None:
        """Write a line if it is time for one, and move the bar."""
        super().phase(name, done, total, losses)
        now = time.monotonic()
        if name == self._phase and done < total and now - self._told < EVERY:
            return
        self._told = now
        if self._is_off:
            return
        try:
            self._move(name, 100.0 * done / max(total, 1))
        except Exception as error:  # The server's, the network's: the training is none of theirs.
            self._is_off = True
            self.say(f"no bar on the page any more ({type(error).__name__}: {error})")

    def _move(self, name: str, percent: float) -> None:
        if name != self._phase or self._bar is None:
            bar = create_progress_artifact(
                percent, key=_key("progress", self._step), description=f"{self._step}: {name}"
            )
            assert isinstance(bar, UUID)  # Not a coroutine: no event loop runs here.
            self._bar = bar
        else:
            update_progress_artifact(self._bar, percent)
        self._phase = name


def show(
    manifest: Manifest,
    records: dict[str, StepRecord],
    folder: Path,
    warn: Callable[[str], None],
) -> None:
    """Put verdict, stages and engines on the page of the run that asks, if the server takes them.

    Args:
        manifest: Of the bundle.
        records: What the steps made, by their labels.
        folder: The bundle's.
        warn: Takes a line.
    """
    try:
        _show(manifest, records, folder)
    except Exception as error:  # The bundle is there, whatever the page says.
        warn(f"nothing more on the run's page ({type(error).__name__}: {error})")


def _show(manifest: Manifest, records: dict[str, StepRecord], folder: Path) -> None:
    rows = [f"| {label} | {value} |" for label, value in summary(manifest, folder)]
    head = [f"# {manifest['name']}", "", "| | |", "| --- | --- |"]
    create_markdown_artifact(
        "\n".join([*head, *rows]),
        key=_key("verdict", manifest["name"]),
        description="Agreement with the teacher on synthetic probes",
    )
    create_link_artifact(
        (folder.resolve() / "report.html").as_uri(),
        link_text="report.html, where the bundle lies",
        key=_key("pictures", manifest["name"]),
        description="What the generator shows and how it learnt; no pictures of a private run",
    )
    stages = [
        {
            "stage": label,
            "": "reused" if record.notes.get("reused") else "done",
            "artifacts": ", ".join(f"{a.name} {a.sha256[:12]}" for a in record.artifacts.values()),
        }
        for label, record in records.items()
    ]
    create_table_artifact(stages, key=_key("stages", manifest["name"]))
    for called, layers in layer_tables(manifest).items():
        create_table_artifact(layers, key=_key("layers", f"{manifest['name']}-{called}"))
    engines = [{"target": name, **_shown(entry)} for name, entry in manifest["engines"].items()]
    if engines:
        create_table_artifact(engines, key=_key("engines", manifest["name"]))


def layer_tables(manifest: Manifest) -> dict[str, list[dict[str, object]]]:
    """The layers of everything in int8 that says of what it is made, by "TARGET"."""
    made = {name: target["int8"] for name, target in manifest["targets"].items()}
    for name, entry in manifest["engines"].items():
        # A CPU's worker says it beside the times, a Jetson's of each engine.
        made[name] = entry.get("engines", entry).get("int8", {})
    return {name: layers for name, of_it in made.items() if (layers := of_it.get("layers"))}


def _shown(entry: dict[str, object]) -> dict[str, str]:
    wanted = ("engine", "recommended", "because", "unasked", "build")
    return {name: str(entry.get(name, "")) for name in wanted}


def _key(what: str, name: str) -> str:
    """As Prefect takes them: small letters, digits, dashes."""
    return f"{what}-{re.sub('[^a-z0-9]+', '-', name.lower())}".strip("-")
