"""Recommend one of a CPU target's two models: int8 or fp32."""

from typing import Any

from targets.bundle.verdict import Outcome

MIN_SPEEDUP = 1.05
"""int8 is recommended if it is at least this much faster than fp32; less is measurement noise."""


def recommend(
    verdicts: dict[str, Any], milliseconds: dict[str, float | None]
) -> dict[str, str | None]:
    """Choose the model to deploy among those that passed.

    Args:
        verdicts: The verdicts on "int8" and "fp32".
        milliseconds: The latency of each; None if it was not measured.

    Returns:
        `recommended`, a precision or None, and `because`, the reason.
    """
    int8_passed, fp32_passed = (
        verdicts[precision]["outcome"] == Outcome.PASS for precision in ("int8", "fp32")
    )
    if not int8_passed and not fp32_passed:
        return {"recommended": None, "because": "neither model passed"}
    if not int8_passed:
        return {"recommended": "fp32", "because": "int8 did not pass"}
    if not fp32_passed:
        return {"recommended": "int8", "because": "fp32 did not pass"}
    int8, fp32 = milliseconds["int8"], milliseconds["fp32"]
    if int8 is None or fp32 is None:
        because = "it is smaller and passed; its latency was not measured on this machine"
        return {"recommended": "int8", "because": because}
    if fp32 < MIN_SPEEDUP * int8:
        return {"recommended": "fp32", "because": "int8 is not faster on this target"}
    return {"recommended": "int8", "because": "it is faster and passed"}


def recommendation_sentence(entry: dict[str, Any]) -> str:
    """Return a target's or engine's recommendation as one sentence."""
    recommended, because = entry["recommended"], entry["because"]
    subject = f"{recommended} is recommended" if recommended else "no model is recommended"
    return f"{subject}: {because}"
