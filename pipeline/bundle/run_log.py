"""The log of runs in a store: one entry for every bundle that was written."""

from base.errors import InputError
from base.untrusted_files import PARSE_ERRORS
from pipeline.bundle.run_figures import RunFigures, figures_from_json, run_figures
from pipeline.store.store import Store
from targets.bundle.bundle_files import Manifest

LOG_KIND = "runs"
"""Kind of the logs in the store. Each run's name has its own log."""


def log_run(store: Store, manifest: Manifest) -> None:
    """Add a run to the log of its name.

    Args:
        store: Holds the log.
        manifest: The manifest of the run's bundle.
    """
    store.append(f"{LOG_KIND}/{manifest['name']}", run_figures(manifest).as_json())


def logged_runs(store: Store) -> list[RunFigures]:
    """Return the runs that wrote a bundle with this store, the newest first.

    Runs of the same name that wrote the same bundle are one run, the newest of them.

    Raises:
        InputError: If an entry is damaged.
    """
    newest: dict[tuple[str, str], tuple[str, RunFigures]] = {}
    for name in store.logs(LOG_KIND):
        for entry in store.entries(f"{LOG_KIND}/{name}"):
            try:
                when = str(entry.pop("when"))
                figures = figures_from_json(entry)
            except PARSE_ERRORS:
                raise InputError(
                    f"store: an entry of logs/{LOG_KIND}/{name} is damaged; delete it"
                ) from None
            newest[name, figures.bundle] = when, figures
    return [figures for _, figures in sorted(newest.values(), key=lambda run: run[0], reverse=True)]
