"""What is in service, for a terminal."""

from rich.markup import escape
from rich.table import Table

from base.errors import InputError
from base.one_line import one_line
from base.untrusted_files import PARSE_ERRORS
from pipeline.releases.releases import Release, history, manifest_of, names, releases_of
from pipeline.store.store import Store


def service_table(store: Store) -> Table:
    """A line for every name that something is in service of."""
    table = Table(title=f"In service, by {_plain(store.url)}")
    for column in ("name", "bundle", "since", "because", "teacher", "agreement"):
        table.add_column(column)
    for name in names(store):
        for release in history(store, name)[-1:]:
            table.add_row(_plain(name), *_cells(store, release))
    return table


def history_table(store: Store, name: str) -> Table:
    """A line for every release of a name, the one in service first.

    Raises:
        InputError: When there is none.
    """
    releases = releases_of(store, name)
    table = Table(title=f"{_plain(name)}, the one in service first")
    for column in ("bundle", "since", "because", "teacher", "agreement"):
        table.add_column(column)
    for release in reversed(releases):
        table.add_row(*_cells(store, release))
    return table


def _cells(store: Store, release: Release) -> tuple[str, ...]:
    manifest = manifest_of(store, release)
    why, _, other = release.because.rpartition(" ")
    because = f"{why} {other[:12]}" if why else other
    since = f"{release.when[:4]}-{release.when[4:6]}-{release.when[6:11]}:{release.when[11:13]}"
    try:
        teacher = _plain(manifest["teacher"]["fingerprint"][:12])
        agreement = f"{100 * float(manifest['verdict']['agreement']):.2f} %"
    except PARSE_ERRORS:
        raise InputError(
            f"store: the object {release.manifest} is no manifest of a bundle that passed"
        ) from None
    return (release.bundle[:12], since.replace("T", " "), because, teacher, agreement)


def _plain(text: str) -> str:
    """As it is, and not as rich's markup."""
    return escape(one_line(text))
