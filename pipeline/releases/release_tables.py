"""Tables of releases for the terminal."""

from rich.markup import escape
from rich.table import Column, Table

from base.errors import InputError
from base.one_line import one_line
from base.untrusted_files import PARSE_ERRORS
from pipeline.releases.release_log import (
    Release,
    manifest_of,
    release_history,
    release_names,
    require_history,
)
from pipeline.store.store import Store

COLUMNS = ("bundle", "released at (UTC)", "because", "teacher", "agreement")

WHOLE = ("bundle", "released at (UTC)", "teacher", "agreement")
"""Columns that are never broken into several lines."""


def releases_table(store: Store) -> Table:
    """Return a table with the current release of each name and target."""
    table = Table("name", *_columns(), title=f"Releases in {_literal(store.url)}")
    for name in release_names(store):
        for release in release_history(store, name)[-1:]:
            table.add_row(_literal(name), *_cells(store, release))
    return table


def history_table(store: Store, name: str) -> Table:
    """Return a table with all releases of a name, the current one first.

    Raises:
        InputError: If the name has no release.
    """
    releases = require_history(store, name)
    table = Table(*_columns(), title=f"Releases of {_literal(name)}, the current one first")
    for release in reversed(releases):
        table.add_row(*_cells(store, release))
    return table


def _columns() -> list[Column]:
    return [Column(name, no_wrap=name in WHOLE) for name in COLUMNS]


def _cells(store: Store, release: Release) -> tuple[str, ...]:
    manifest = manifest_of(store, release)
    words, _, bundle = release.because.rpartition(" ")
    because = f"{words} {bundle[:12]}" if words else release.because
    when = release.when
    time = f"{when[:4]}-{when[4:6]}-{when[6:8]} {when[9:11]}:{when[11:13]}"
    try:
        teacher = _literal(manifest["teacher"]["fingerprint"][:12])
        agreement = f"{100 * float(manifest['verdict']['agreement']):.2f} %"
    except PARSE_ERRORS:
        raise InputError(
            f"store: the object {release.manifest} is no manifest of a bundle that passed; "
            "run again"
        ) from None
    return (release.bundle[:12], time, because, teacher, agreement)


def _literal(text: str) -> str:
    """Return text as one line that rich prints without interpreting markup."""
    return escape(one_line(text))
