"""What a device says of the engines it built: in JSON, beside them, and on its way back."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from targets.catalogue.device_detection import Device
from targets.on_device.preflight import Check
from targets.tensorrt.layers import float_layers, opaque_layers, reformat_layers
from targets.tensorrt.options import Precision
from targets.tensorrt.recommendation import MIN_GRAPH_AGREEMENT, CheckedEngine, Recommendation


def engine_report(
    checked: dict[Precision, CheckedEngine],
    advice: Recommendation,
    device: Device,
    checks: Sequence[Check],
) -> dict[str, Any]:
    """What a bundle's manifest says in place of `pending`.

    Args:
        checked: The engines.
        advice: Which to deploy.
        device: Where they were built, its power mode among what it says.
        checks: What preflight saw, the clocks among it.
    """
    return {
        "engine": "built",
        "device": dataclasses.asdict(device),
        "preflight": [dataclasses.asdict(check) for check in checks],
        "recommended": advice.precision,
        "because": advice.because,
        "engines": {precision: _entry(each) for precision, each in checked.items()},
    }


def _entry(checked: CheckedEngine) -> dict[str, Any]:
    table, shares = checked.engine.table, checked.engine.shares
    return {
        "file": checked.engine.path.name,
        "reused": checked.engine.reused,
        "milliseconds": checked.milliseconds,
        "throttling": dataclasses.asdict(checked.throttling),
        "batch": checked.engine.options.batch,
        "workspace_mib": checked.engine.options.workspace_mib,
        "typing": checked.engine.options.typing,
        "fingerprint": checked.engine.fingerprint.digest,
        "same_answer_as_graph": {
            "share": checked.same_answer,
            "low": checked.same_low,
            "high": checked.same_high,
            "asked": MIN_GRAPH_AGREEMENT,
            "passed": checked.matches_graph,
        },
        "verdict": checked.verdict.as_json(),
        "dla_core": checked.engine.options.dla_core,
        "on_dla": list(shares.on_dla) if shares else None,
        "fell_back_to_gpu": list(shares.on_gpu) if shares else None,
        "layers": [dataclasses.asdict(layer) for layer in table],
        "layers_in_float": float_layers(table),
        "layers_untold": opaque_layers(table),
        "reformats": len(reformat_layers(table)),
    }
