"""What is in service, for a terminal."""

import json

from rich.table import Table

from pipeline.service import Release, history, names, releases_of
from pipeline.store import Store


def service_table(store: Store) -> Table:
    """A line for every name that something is in service of."""
    table = Table(title=f"In service, by {store.url}")
    for column in ("name", "bundle", "since", "because", "teacher", "agreement"):
        table.add_column(column)
    for name in names(store):
        table.add_row(name, *_cells(store, history(store, name)[-1]))
    return table


def history_table(store: Store, name: str) -> Table:
    """A line for every release of a name, the one in service first.

    Raises:
        InputError: When there is none.
    """
    releases = releases_of(store, name)
    table = Table(title=f"{name}, the one in service first")
    for column in ("bundle", "since", "because", "teacher", "agreement"):
        table.add_column(column)
    for release in reversed(releases):
        table.add_row(*_cells(store, release))
    return table


def _cells(store: Store, release: Release) -> tuple[str, ...]:
    manifest = json.loads(store.read(release.manifest))
    why, _, other = release.because.rpartition(" ")
    because = f"{why} {other[:12]}" if why else other
    since = f"{release.when[:4]}-{release.when[4:6]}-{release.when[6:11]}:{release.when[11:13]}"
    return (
        release.bundle[:12],
        since.replace("T", " "),
        because,
        manifest["teacher"]["fingerprint"][:12],
        f"{100 * manifest['verdict']['agreement']:.2f} %",
    )
