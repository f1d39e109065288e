"""Commands about releases and the store: releases, fetch, roll-back, collect."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.commands.parameters import (
    Output,
    ReleaseName,
    ReleaseTarget,
    StoreUrl,
    open_store,
)


def releases(
    name: Annotated[
        str | None,
        typer.Argument(help="Show all releases of this name, the current one first."),
    ] = None,
    target: ReleaseTarget = None,
    store: StoreUrl = None,
) -> None:
    """List the releases: for each name and target, the bundle that devices should use.

    That is the last bundle that passed in a Prefect flow run, or the one rolled back to. A target
    that is built on its own device has a release once its engine has passed.
    """
    from pipeline.commands.tables import print_table
    from pipeline.releases.release_log import chosen_log
    from pipeline.releases.release_tables import history_table, releases_table

    opened = open_store(store)
    print_table(
        history_table(opened, chosen_log(opened, name, target)) if name else releases_table(opened)
    )


def service(context: typer.Context) -> None:
    """Refuse the former name of `releases`."""
    context.fail("the command service is now called releases")


def fetch(
    name: ReleaseName,
    output: Output = None,
    target: ReleaseTarget = None,
    store: StoreUrl = None,
) -> None:
    """Copy the released bundle from the store to a folder, and check every file."""
    from pipeline.releases.fetching import fetch_release
    from pipeline.releases.release_log import chosen_log

    folder, opened = output or Path("bundles") / name, open_store(store)
    release = fetch_release(opened, chosen_log(opened, name, target), folder)
    typer.echo(f"{name}: bundle {release.bundle[:12]} in {folder}")


def roll_back(
    name: ReleaseName,
    to: Annotated[
        str,
        typer.Option(
            help="First digits of the bundle to release again; the previous release if not given."
        ),
    ] = "",
    target: ReleaseTarget = None,
    store: StoreUrl = None,
) -> None:
    """Release an earlier bundle again; `datafree-edge releases NAME` lists them."""
    from pipeline.releases.publishing import roll_back
    from pipeline.releases.release_log import chosen_log

    opened = open_store(store)
    release = roll_back(opened, chosen_log(opened, name, target), to)
    typer.echo(f"{name}: bundle {release.bundle[:12]} is released again")


def collect(
    days: Annotated[
        int, typer.Option(help="Delete files that have not been used for this long; at least 7.")
    ] = 30,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show how much would be deleted; delete nothing.")
    ] = False,
    store: StoreUrl = None,
) -> None:
    """Delete stored files that no release uses."""
    from datetime import timedelta

    from pipeline.releases.release_log import objects_in_use
    from pipeline.store.garbage_collection import collect, find_garbage

    opened = open_store(store)
    garbage = find_garbage(opened, timedelta(days=days), objects_in_use(opened))
    if not dry_run:
        garbage = collect(opened, garbage)
    typer.echo(
        f"{len(garbage.records)} steps, {len(garbage.objects)} files, "
        f"{len(garbage.checkpoints)} checkpoints, "
        f"{garbage.size_bytes / 1e6:.1f} MB {'would be' if dry_run else 'were'} deleted"
    )
