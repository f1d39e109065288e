"""The results of a run as rows of label and value, for the terminal, the report and Prefect."""

from pathlib import Path
from typing import Any

from rich.table import Table

from pipeline.bundle.next_step import next_step
from pipeline.bundle.recommendation import recommendation_sentence
from targets.bundle.bundle_files import Manifest
from targets.bundle.verdict import Outcome


def summary_rows(manifest: Manifest, folder: Path) -> list[tuple[str, str]]:
    """Return the results of a run as pairs of label and value.

    Args:
        manifest: The manifest of the run's bundle.
        folder: The bundle's folder, which is shown.
    """
    verdict = manifest["verdict"]
    rows = [
        ("teacher", manifest["teacher"]["architecture"]),
        ("student", manifest["student"]),
        ("training", "; ".join(manifest["health"]) or "healthy, never rolled back"),
        *(("warning", warning) for warning in manifest.get("warnings", [])),
    ]
    if verdict is None:
        return [
            *rows,
            ("verdict", "none: below 8 bits nothing is exported, because no runtime supports it"),
            ("bundle", str(folder)),
        ]
    rows += [
        (
            "agreement with the teacher",
            f"{100 * verdict['agreement']:.2f} %  "
            f"[{100 * verdict['low']:.2f}, {100 * verdict['high']:.2f}]  "
            f"({verdict['agreed']} of {verdict['images']} synthetic probes)",
        ),
        ("teacher's confidence on probes", f"{100 * verdict['teacher_confidence']:.1f} %"),
    ]
    rows += probe_rows(manifest)
    for name, target in manifest["targets"].items():
        rows += _target_rows(name, target)
    rows += [
        (f"{name}: on the device", engine_result(entry))
        for name, entry in manifest["engines"].items()
    ]
    advice = next_step(manifest)
    return [
        *rows,
        ("verdict", _verdict_sentence(verdict)),
        *([("next", advice)] if advice else []),
        ("bundle", str(folder)),
    ]


def probe_rows(manifest: Manifest) -> list[tuple[str, str]]:
    """Return what is known of the probes and their generators, as pairs of label and value."""
    rows, verdict = [], manifest["verdict"]
    if probes := verdict.get("probes"):  # Bundles of earlier versions have none.
        rows.append(
            (
                "probes",
                f"{probes['distinct']} distinct images, spread {probes['spread']:.1f} of 255, "
                f"{probes['answered_classes']} of {len(verdict['teacher_histogram'])} classes "
                f"predicted, at most {100 * probes['commonest']:.1f} % in one class",
            )
        )
    if gate := manifest.get("gate"):
        height, width = gate["drawn"]
        rows.append(
            (
                "probe generators",
                f"each trained for {gate['rounds']} rounds of {gate['batch']} images, "
                f"drawn at {height} x {width}",
            )
        )
    return rows


def summary_table(manifest: Manifest, folder: Path) -> Table:
    """Return `summary_rows` as a table for the terminal."""
    table = Table(title=manifest["name"], show_header=False, title_justify="left")
    for label, value in summary_rows(manifest, folder):
        table.add_row(label, value)
    return table


def _verdict_sentence(verdict: dict[str, Any]) -> str:
    because = verdict.get("because")  # Bundles of earlier versions have none.
    reason = f": {because}" if because and verdict["outcome"] != Outcome.PASS else ""
    return f"{verdict['outcome']} (required: {100 * verdict['threshold']:g} %){reason}"


def _target_rows(name: str, target: dict[str, Any]) -> list[tuple[str, str]]:
    fp32, int8 = target["fp32"], target["int8"]
    ratio = int8["bytes"] / fp32["bytes"]
    return [
        (f"{name}: size", f"{fp32['bytes']:,} -> {int8['bytes']:,} bytes ({ratio:.2f})"),
        (f"{name}: latency", _latency(target)),
        (
            f"{name}: agreement",
            f"fp32 {100 * fp32['agreement']:.2f} %, int8 {100 * int8['agreement']:.2f} %",
        ),
        (f"{name}: recommendation", recommendation_sentence(target)),
    ]


def _latency(target: dict[str, Any]) -> str:
    fp32, int8 = target["fp32"], target["int8"]
    if int8["milliseconds"] is None:
        return "not measured: this machine has another CPU"
    threads = "1 thread" if target["threads"] == 1 else f"{target['threads']} threads"
    return (
        f"fp32 {fp32['milliseconds']:.3f} ms, int8 {int8['milliseconds']:.3f} ms "
        f"(batch {target['batch']}, {threads}; "
        f"{int8['integer_layers']} of {len(int8['layers'])} layers on integer kernels)"
    )


def engine_result(entry: dict[str, Any]) -> str:
    """Return what a device reported of its engine or graph, or why there is none yet."""
    if entry.get("engine") == "pending":
        return f"pending ({entry['because']}); to build it on the device: {entry['build']}"
    reason = entry.get("unasked")
    unverified = f"; unverified since it was built ({reason})" if reason else ""
    if "recommended" in entry:
        return recommendation_sentence(entry) + unverified
    times = entry["milliseconds"]
    return f"fp32 {times['fp32']:.3f} ms, int8 {times['int8']:.3f} ms{unverified}"
