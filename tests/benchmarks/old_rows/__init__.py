"""Rows as they were before digests had fixed defaults: figures, and the values of their jobs.

Each JSON file has the digest of every row, a sha256 of its figures, and the values that the digest
was computed from: `common` values by path, and for each group of rows those that differ.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from benchmarks.row_digest import DigestRules

ABSENT = "<absent>"


def read_old(table: str) -> dict[str, dict[str, Any]]:
    """Return "digest", "figures" and "values" (by path) of each old row, by key."""
    document = json.loads((Path(__file__).parent / f"{table}.json").read_text())
    rows = {}
    for key, row in document["rows"].items():
        values = {**document["common"], **document["values"][row["values"]]}
        kept = {path: value for path, value in values.items() if value != ABSENT}
        rows[key] = {**row, "values": kept}
    return rows


def restore_defaults(covered: Any, rules: DigestRules) -> Any:
    """Return what a digest covers with the fixed defaults of the table added."""
    if isinstance(covered, dict):
        full = {**rules.fixed.get(covered.get("type", ""), {}), **covered}
        return {name: restore_defaults(value, rules) for name, value in full.items()}
    if isinstance(covered, list):
        return [restore_defaults(item, rules) for item in covered]
    return covered


def figures_digest(row: dict[str, Any]) -> str:
    """Return the digest of everything in a row except its digest and its command."""
    figures = {name: value for name, value in row.items() if name not in ("digest", "command")}
    return hashlib.sha256(json.dumps(figures).encode()).hexdigest()[:16]


def by_path(value: Any, path: str = "") -> dict[str, Any]:
    """Return the values of nested dicts by path, such as {"a.b": 1}."""
    if not isinstance(value, dict) or not value:
        return {path: value}
    found: dict[str, Any] = {}
    for name, item in value.items():
        found |= by_path(item, f"{path}.{name}" if path else name)
    return found
