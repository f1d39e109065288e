"""The report on a device's engines: a JSON file beside them that is also sent back."""

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
    recommendation: Recommendation,
    device: Device,
    checks: Sequence[Check],
) -> dict[str, Any]:
    """Return the entry that replaces `pending` in a bundle's manifest.

    Args:
        checked: The engines with their measurements.
        recommendation: Which to deploy.
        device: Where they were built, including its power mode.
        checks: The preflight results, including the clocks.
    """
    return {
        "engine": "built",
        "device": dataclasses.asdict(device),
        "preflight": [dataclasses.asdict(check) for check in checks],
        "recommended": recommendation.precision,
        "because": recommendation.because,
        "engines": {precision: _entry(each) for precision, each in checked.items()},
    }


def _entry(checked: CheckedEngine) -> dict[str, Any]:
    engine = checked.engine
    layers, placement = engine.layers, engine.placement
    return {
        "file": engine.path.name,
        "reused": engine.reused,
        "milliseconds": checked.milliseconds,
        "throttling": dataclasses.asdict(checked.throttling),
        "batch": engine.options.batch,
        "workspace_mib": engine.options.workspace_mib,
        "typing": engine.options.typing,
        "fingerprint": engine.fingerprint.digest,
        "same_answer_as_graph": {
            "share": checked.same_answer,
            "low": checked.same_low,
            "high": checked.same_high,
            "asked": MIN_GRAPH_AGREEMENT,
            "passed": checked.matches_graph,
        },
        "verdict": checked.verdict.as_json(),
        "dla_core": engine.options.dla_core,
        "on_dla": list(placement.on_dla) if placement else None,
        "fell_back_to_gpu": list(placement.on_gpu) if placement else None,
        "layers": [dataclasses.asdict(layer) for layer in layers],
        "layers_in_float": float_layers(layers),
        "layers_untold": opaque_layers(layers),
        "reformats": len(reformat_layers(layers)),
    }
