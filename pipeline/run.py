"""A whole run without an orchestrator. The command line runs it; a flow runs its steps as tasks."""

import os
from pathlib import Path

from pipeline.bundle.opening import check_output
from pipeline.bundle.signature import check_signing_key
from pipeline.bundle.writing import write_bundle
from pipeline.chain import run_chain
from pipeline.config.schema import RunConfig
from pipeline.releases.engine_orders import create_orders, find_result, pending_result
from pipeline.reporter import Reporter
from pipeline.store.process_lock import cache_folder
from pipeline.store.store import Store
from pipeline.teachers.config_checks import check_config
from targets.bundle.bundle_files import Manifest


def default_store() -> str:
    """Return $DATAFREE_EDGE_STORE, or else a folder in the user's cache."""
    return os.environ.get("DATAFREE_EDGE_STORE", str(cache_folder()))


def default_output(config: RunConfig) -> Path:
    """Return the folder of a run's bundle if the user names none."""
    return Path("bundles") / config.name


def check_run(config: RunConfig, output: Path) -> None:
    """Raise InputError, before any work is done, if a run cannot succeed.

    Raises:
        InputError: As `check_config`, or if the output cannot be written or signed.
    """
    check_config(config)
    check_signing_key()
    check_output(output)


def execute(
    config: RunConfig,
    store: Store,
    output: Path,
    reporter: Reporter,
    metrics: Path | None = None,
) -> Manifest:
    """Run all steps and write the bundle.

    Args:
        config: The run file.
        store: Holds earlier results, and receives the new ones.
        output: The bundle's folder.
        reporter: Receives messages and progress.
        metrics: Folder for the steps' losses; None writes none.

    Returns:
        The bundle's manifest.

    Raises:
        InputError: If the user must fix something.
    """
    check_run(config, output)
    records = run_chain(config, store, reporter, metrics)
    engines = {
        order.name: find_result(store, order) or pending_result(order, "no worker was asked for it")
        for order in create_orders(config, records, store)
    }
    return write_bundle(config, records, engines, store, output)
