"""What is built on a device of its own: the order that goes out, and what comes back.

Both lie in the store; device and host need nothing in common but its URL. No torch, no Prefect.
"""

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.config.chosen_targets import targets_elsewhere
from pipeline.config.schema import RunConfig
from pipeline.store.code_digest import code_digest
from pipeline.store.step_record import StepRecord, digest
from pipeline.store.store import Store
from targets.on_device.compile_bundle import ENGINE_REPORT

STEP = "engine"

COMPILE = "python -m targets compile BUNDLE"
"""What does the same by hand, on the device."""

NOT_BY_HAND = "a worker of its pool alone: the bundle keeps its probes private"


@dataclass(frozen=True)
class Order:
    """What a device is asked for.

    Attributes:
        name: The target as the run file names it.
        target: Its name in the catalogue.
        pool: The work pool of such devices.
        dla_core: The deep-learning accelerator to build for; None for the GPU.
        sha256: Of the order in the store: a small bundle's manifest.
        build: What builds it without an order.
        key: Under which the store will know what came of it.
    """

    name: str
    target: str
    pool: str
    dla_core: int | None
    sha256: str
    key: str
    build: str


def orders(config: RunConfig, records: dict[str, StepRecord], store: Store) -> list[Order]:
    """Put an order into the store for every target that is made ready elsewhere."""
    elsewhere = targets_elsewhere(config)
    if not elsewhere or not config.quantize.exported:
        return []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "order.json"
        path.write_text(json.dumps(_document(config, records), sort_keys=True))
        sha256 = store.put(path, path.name).sha256
    code = code_digest("targets.on_device.compile_bundle")
    made = []
    for name, place in elsewhere.items():
        target, core = place.target.name, place.dla_core
        what = {"order": sha256, "target": target, "dla_core": core, "pool": place.pool}
        key = digest({**what, "code": code})
        by_hand = f"{COMPILE} --target {target}" + ("" if core is None else f" --dla-core {core}")
        build = NOT_BY_HAND if config.private else by_hand
        made.append(Order(name, target, place.pool, core, sha256, key, build))
    return made


def send(store: Store, key: str, place: Path) -> None:
    """Put all that was built into the store; the record comes last, so that none is half there."""
    report: dict[str, Any] = json.loads((place / ENGINE_REPORT).read_text())
    artifacts = {name: store.put(place / name, name) for name in (*report["files"], ENGINE_REPORT)}
    store.record(STEP, key, StepRecord(artifacts, report))


def delivered(store: Store, order: Order) -> StepRecord | None:
    """What a device has sent back, if it has."""
    return store.recall(STEP, order.key)


def unasked(record: StepRecord, why: str) -> StepRecord:
    """What a device built once, which nobody has asked since whether it is still the same."""
    return StepRecord(record.artifacts, {**record.notes, "unasked": why})


def pending(order: Order, why: str) -> StepRecord:
    """What stands in a bundle for an engine that is not there."""
    return StepRecord({}, {"engine": "pending", "because": why, "build": order.build})


def _document(config: RunConfig, records: dict[str, StepRecord]) -> dict[str, Any]:
    files = {
        f"graphs/{artifact.name}": artifact.sha256
        for artifact in records["export"].artifacts.values()
    }
    files["golden.npz"] = records["probe"].artifacts["golden"].sha256
    dumped = config.model_dump(mode="json", exclude={"teacher": {"weights"}})
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
