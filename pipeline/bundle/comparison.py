"""Compare several bundles: figures side by side, and the settings in which they differ."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.markup import escape
from rich.table import Table

from base.errors import InputError
from base.one_line import one_line
from base.untrusted_files import PARSE_ERRORS
from pipeline.bundle.hop_losses import Hop, hop_losses
from pipeline.bundle.run_figures import RunFigures, run_figures
from pipeline.bundle.run_tables import agreement_text, latency_text, size_text
from targets.bundle.bundle_files import Manifest
from targets.bundle.golden import GOLDEN

NO_VALUE = "-"
"""Stands for a value that a run does not have."""


@dataclass(frozen=True)
class ComparedRun:
    """One of the compared runs.

    Attributes:
        title: Its name, made unique among the compared runs.
        figures: Its figures.
        hops: Where it lost agreement; empty if that was not measured.
        probes: The sha256 of its probes; "" if the bundle has none.
        settings: The values of its run file by dotted key.
    """

    title: str
    figures: RunFigures
    hops: list[Hop]
    probes: str
    settings: dict[str, str]

    def as_json(self) -> dict[str, Any]:
        """Return the run as values for a JSON file."""
        return {
            "title": self.title,
            **self.figures.as_json(),
            "hops": {hop.form: {"agreement": hop.agreement, "loss": hop.loss} for hop in self.hops},
            "probes": self.probes,
        }


@dataclass(frozen=True)
class Comparison:
    """Several runs side by side.

    Attributes:
        runs: The runs, in the order of the command line.
    """

    runs: list[ComparedRun]

    @property
    def same_probes(self) -> bool:
        """Whether all runs were judged on the same probes, as far as the bundles show it."""
        probes = {run.probes for run in self.runs}
        return len(probes) == 1 and "" not in probes

    @property
    def note(self) -> str:
        """Whether the agreements can be compared with each other."""
        if self.same_probes:
            return "All runs were judged on the same probes."
        return (
            "The runs were not all judged on the same probes, so small differences between their "
            "agreements mean nothing."
        )

    def figure_rows(self) -> list[list[str]]:
        """Return rows of a label and the value of each run."""
        rows = [
            ["teacher", *(run.figures.teacher for run in self.runs)],
            ["student", *(run.figures.student for run in self.runs)],
            ["verdict", *(run.figures.outcome or "none" for run in self.runs)],
            ["agreement with the teacher", *(agreement_text(run.figures) for run in self.runs)],
        ]
        for cause in _in_order([hop.cause for run in self.runs for hop in run.hops]):
            losses = [{hop.cause: f"{hop.loss:.2f}" for hop in run.hops} for run in self.runs]
            rows.append(
                [f"points lost by {cause}", *(loss.get(cause, NO_VALUE) for loss in losses)]
            )
        for name in _in_order([name for run in self.runs for name in run.figures.targets]):
            targets = [run.figures.targets.get(name) for run in self.runs]
            texts = {
                "size, fp32 -> int8": size_text,
                "latency, fp32 -> int8": latency_text,
            }
            for label, text in texts.items():
                cells = (text(target) if target else NO_VALUE for target in targets)
                rows.append([f"{name}: {label}", *cells])
            recommended = (
                (target.recommended or "none") if target else NO_VALUE for target in targets
            )
            rows.append([f"{name}: recommended", *recommended])
        return rows

    def setting_rows(self) -> list[list[str]]:
        """Return rows of a key of the run file and its value in each run, where they differ."""
        keys = _in_order([key for run in self.runs for key in run.settings])
        values = {key: [run.settings.get(key, NO_VALUE) for run in self.runs] for key in keys}
        return [[key, *each] for key, each in values.items() if len(set(each)) > 1]

    def table(self) -> Table:
        """Return the figures and the differing settings as a table for the terminal."""
        table = Table("", *(_literal(run.title) for run in self.runs), title_justify="left")
        for row in self.figure_rows():
            table.add_row(*map(_literal, row))
        table.add_section()
        for row in self.setting_rows():
            table.add_row(*map(_literal, row))
        return table

    def as_json(self) -> dict[str, Any]:
        """Return the comparison as values for a JSON file."""
        titles = [run.title for run in self.runs]
        return {
            "runs": [run.as_json() for run in self.runs],
            "same_probes": self.same_probes,
            "settings": {
                key: dict(zip(titles, values, strict=True)) for key, *values in self.setting_rows()
            },
        }


def compare(manifests: Sequence[Manifest]) -> Comparison:
    """Compare runs by the manifests of their bundles.

    Raises:
        InputError: If a manifest is malformed or of another version.
    """
    runs: list[ComparedRun] = []
    for manifest in manifests:
        try:
            run = ComparedRun(
                title=_title(manifest["name"], [run.title for run in runs]),
                figures=run_figures(manifest),
                hops=hop_losses(manifest),
                probes=str(manifest["files"].get(GOLDEN, "")),
                settings=_flat(manifest["run"]),
            )
        except PARSE_ERRORS:
            raise InputError(
                f"{one_line(str(manifest['name']))}: its manifest has other figures than this "
                "version of datafree-edge compares; run again"
            ) from None
        runs.append(run)
    return Comparison(runs)


def _title(name: str, taken: list[str]) -> str:
    number = 2
    title = name
    while title in taken:
        title, number = f"{name} ({number})", number + 1
    return title


def _flat(section: dict[str, Any], prefix: str = "") -> dict[str, str]:
    """Return the values of nested sections by dotted key; the name of the run is left out."""
    found: dict[str, str] = {}
    for key, value in section.items():
        if isinstance(value, dict) and value:
            found |= _flat(value, f"{prefix}{key}.")
        elif prefix or key != "name":
            found[f"{prefix}{key}"] = one_line(str(value))
    return found


def _in_order(names: list[str]) -> list[str]:
    """Return each name once, in the order of its first appearance."""
    return list(dict.fromkeys(names))


def _literal(text: str) -> str:
    return escape(one_line(text))
