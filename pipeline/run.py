"""A whole run without an orchestrator: what the command line does, and flows do step by step."""

import os
from pathlib import Path

from pipeline.bundle.opening import check_output
from pipeline.bundle.signature import check_signing_key
from pipeline.bundle.writing import write_bundle
from pipeline.chain import run_chain
from pipeline.config.schema import RunConfig
from pipeline.releases.engine_orders import create_orders, find_result, pending_result
from pipeline.store.store import Store
from pipeline.teachers.config_checks import check_config
from pipeline.training.progress import Reporter
from targets.bundle.bundle_files import Manifest


def default_store() -> str:
    """$DATAFREE_EDGE_STORE, or a folder in the user's cache."""
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return os.environ.get("DATAFREE_EDGE_STORE", f"{cache}/datafree-edge")


def default_output(config: RunConfig) -> Path:
    """Where a bundle goes when nobody says where."""
    return Path("bundles") / config.name


def check_run(config: RunConfig, output: Path) -> None:
    """Refuse, before any work is done, a run that cannot end well.

    Raises:
        InputError: As `check_config`, or when the output cannot be written or signed.
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
    """All steps, then the bundle; returns its manifest. Arguments as for `run_chain`.

    Raises:
        InputError: When the user must mend something.
    """
    check_run(config, output)
    records = run_chain(config, store, reporter, metrics)
    engines = {
        order.name: find_result(store, order) or pending_result(order, "no worker was asked for it")
        for order in create_orders(config, records, store)
    }
    return write_bundle(config, records, engines, store, output)
