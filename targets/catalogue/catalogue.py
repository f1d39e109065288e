"""Targets by name, read from catalogue.json, where every fact has a source."""

import dataclasses
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from base.suggest import did_you_mean
from targets.catalogue.target_types import (
    Architecture,
    CpuTarget,
    GpuTarget,
    JetPack,
    JetsonTarget,
    PowerMode,
    Target,
)

CATALOGUE_FILE = Path(__file__).with_name("catalogue.json")


class UnknownTargetError(LookupError):
    """No target has this name; the message suggests a similar one."""


class CatalogueError(ValueError):
    """The catalogue file is incomplete or contradicts itself."""


@cache
def targets_by_name() -> dict[str, Target]:
    """Return every target of this package under its name and its aliases."""
    return read_catalogue(CATALOGUE_FILE)


def find_target(name: str) -> Target:
    """Return the target with this name or alias.

    Raises:
        UnknownTargetError: If there is none.
    """
    with_dla = re.fullmatch(r"(.+)-dla(\d+)", name)
    if with_dla and with_dla[1] in targets_by_name():
        module, core = with_dla.groups()
        raise UnknownTargetError(
            f"target {name!r}: give module and accelerator separately: {module} and "
            f"--dla-core {core}"
        )
    if name not in targets_by_name():
        raise UnknownTargetError(f"unknown target {name!r}{did_you_mean(name, targets_by_name())}")
    return targets_by_name()[name]


def jetsons() -> Iterator[JetsonTarget]:
    """Yield every Jetson once, in the order of the catalogue."""
    for name, target in targets_by_name().items():
        if isinstance(target, JetsonTarget) and name == target.name:
            yield target


def read_catalogue(path: Path) -> dict[str, Target]:
    """Read and check a catalogue file.

    Args:
        path: A JSON file with the sections "cpus", "gpus", "architectures", "jetpacks" and
            "jetsons".

    Raises:
        CatalogueError: If a row is wrong; the message names the row and the field.
    """
    document = json.loads(path.read_text())
    parts: dict[str, dict[str, Any]] = {
        "architecture": {r["name"]: _row(Architecture, r) for r in document["architectures"]},
        "jetpacks": {r["name"]: _row(JetPack, r) for r in document["jetpacks"]},
    }
    rows: list[Target] = [
        *(_row(CpuTarget, row) for row in document["cpus"]),
        *(_row(GpuTarget, row) for row in document["gpus"]),
        *(_jetson(row, parts) for row in document["jetsons"]),
    ]
    targets: dict[str, Target] = {}
    for target in rows:
        for name in (target.name, *getattr(target, "aliases", ())):
            if name in targets:
                raise CatalogueError(f"{name}: duplicate name")
            targets[name] = target
    return targets


def _jetson(row: dict[str, Any], parts: dict[str, dict[str, Any]]) -> JetsonTarget:
    try:
        resolved = {
            **row,
            "architecture": parts["architecture"][row["architecture"]],
            "jetpacks": [parts["jetpacks"][name] for name in row["jetpacks"]],
            "modes": [_row(PowerMode, mode) for mode in row["modes"]],
        }
    except KeyError as error:
        raise CatalogueError(f"{row.get('name')}: {error} is missing or unknown") from None
    if not (row["modes"] and row["jetpacks"]):
        raise CatalogueError(f"{row['name']}: needs a power mode and a JetPack")
    return _row(JetsonTarget, resolved)


Row = TypeVar("Row")


def _row(kind: type[Row], row: dict[str, Any]) -> Row:
    fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    unknown = sorted(row.keys() - fields.keys())
    missing = sorted(
        n for n, f in fields.items() if f.default is dataclasses.MISSING and n not in row
    )
    no_field = sorted(set(row.get("unverified", ())) - fields.keys())
    for problem, names in (
        ("unknown field", unknown),
        ("missing field", missing),
        ("unknown field marked as unverified", no_field),
    ):
        if names:
            raise CatalogueError(f"{row.get('name')}: {problem}: {', '.join(names)}")
    if "source" in fields and not row["source"]:
        raise CatalogueError(f"{row['name']}: needs a source")
    return kind(**{name: tuple(v) if isinstance(v, list) else v for name, v in row.items()})
