"""Orders for engines, which a device builds, and the results it sends back.

Orders and results are kept in the store. Device and host share nothing else but its URL. This
module imports neither torch nor Prefect.
"""

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.config.chosen_targets import remote_targets
from pipeline.config.picture_keys import PICTURE_KEYS
from pipeline.config.schema import RunConfig
from pipeline.store.code_digest import code_digest
from pipeline.store.step_record import StepRecord, digest
from pipeline.store.store import Store
from targets.on_device.compile_bundle import ENGINE_REPORT

ENGINE_STEP = "engine"
"""Step name of the records of engines in the store."""

COMPILE_COMMAND = "python -m targets compile BUNDLE"
"""Builds an engine by hand, on the device."""

NOT_BY_HAND = "only by a worker of its pool: the probes are private and not in the bundle"


@dataclass(frozen=True)
class Order:
    """An order for one engine.

    Attributes:
        name: The target's name in the run file.
        target: The target's name in the catalogue.
        pool: The work pool of the devices that can build it.
        dla_core: Index of the deep-learning accelerator to build for; None for the GPU.
        sha256: Digest of the order's document in the store, the manifest of a small bundle.
        key: Key of the result's record in the store.
        build: The command that builds the engine by hand, or why none can.
    """

    name: str
    target: str
    pool: str
    dla_core: int | None
    sha256: str
    key: str
    build: str


def create_orders(config: RunConfig, records: dict[str, StepRecord], store: Store) -> list[Order]:
    """Store an order for every target of a run that is built on a device of its own.

    Args:
        config: The run file.
        records: The records of the steps, by step label.
        store: Receives the document that all these orders share.
    """
    elsewhere = remote_targets(config)
    if not elsewhere or not config.quantize.exported:
        return []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "order.json"
        path.write_text(json.dumps(_document(config, records), sort_keys=True))
        sha256 = store.put(path, path.name).sha256
    code = code_digest("targets.on_device.compile_bundle")
    orders = []
    for name, place in elsewhere.items():
        target, core = place.target.name, place.dla_core
        content = {"order": sha256, "target": target, "dla_core": core, "pool": place.pool}
        key = digest({**content, "code": code})
        option = "" if core is None else f" --dla-core {core}"
        by_hand = f"{COMPILE_COMMAND} --target {target}{option}"
        build = NOT_BY_HAND if config.private else by_hand
        orders.append(Order(name, target, place.pool, core, sha256, key, build))
    return orders


def store_result(store: Store, key: str, folder: Path) -> None:
    """Store what a device has built.

    The record is written last, so that an interrupted transfer leaves no record.

    Args:
        store: Receives the files and the record.
        key: The order's key.
        folder: The output folder of `targets.on_device.compile_bundle`.
    """
    report: dict[str, Any] = json.loads((folder / ENGINE_REPORT).read_text())
    artifacts = {name: store.put(folder / name, name) for name in (*report["files"], ENGINE_REPORT)}
    store.record(ENGINE_STEP, key, StepRecord(artifacts, report))


def find_result(store: Store, order: Order) -> StepRecord | None:
    """Return the record of an order's result, or None if no device has sent one."""
    return store.recall(ENGINE_STEP, order.key)


def mark_unverified(record: StepRecord, reason: str) -> StepRecord:
    """Return a result whose device has not confirmed that it is unchanged since the build."""
    return StepRecord(record.artifacts, {**record.notes, "unasked": reason})


def pending_result(order: Order, reason: str) -> StepRecord:
    """Return the record that a bundle holds for an engine that is not built yet."""
    notes = {"engine": "pending", "because": reason, "build": order.build, "order": order.key}
    return StepRecord({}, notes)


def _document(config: RunConfig, records: dict[str, StepRecord]) -> dict[str, Any]:
    """Return the order's document: a manifest with what a device needs to build and compare."""
    files = {
        f"graphs/{artifact.name}": artifact.sha256
        for artifact in records["export"].artifacts.values()
    }
    files["golden.npz"] = records["probe"].artifacts["bundle-golden"].sha256
    unused = {"teacher": {"weights"}, "input": set(PICTURE_KEYS)}
    dumped = config.model_dump(mode="json", exclude=unused)
    return {
        "bundle": digest(files),
        "teacher": {"class_names": list(config.teacher.class_names)},
        "input": dumped["input"],
        "run": {
            "gate": dumped["gate"],
            "export": dumped["export"],
            "teacher": {"classes": config.teacher.classes},
        },
        "files": files,
    }
