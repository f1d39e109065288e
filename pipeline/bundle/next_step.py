"""What to try after a verdict that is not pass."""

from statistics import NormalDist
from typing import Any

from pipeline.config.section import MAX_COUNT
from pipeline.config.sections import QuantizeSection
from targets.bundle.bundle_files import Manifest
from targets.bundle.verdict import Outcome


def next_step(manifest: Manifest) -> str:
    """Return what to change in the run file, or "" if the verdict is pass or there is none.

    If the float32 model reaches the threshold and the int8 model does not, quantization is the
    cause; otherwise it is the distillation.

    Args:
        manifest: The manifest of a run's bundle.
    """
    verdict = manifest["verdict"]
    if verdict is None or verdict["outcome"] == Outcome.PASS:
        return ""
    # Bundles of earlier versions have no judgement of their probes.
    if faults := verdict.get("probes", {}).get("faults"):
        return (
            f"{'; '.join(faults)}: check input.mean, input.std and input.value_range, and the "
            "warnings of `datafree-edge check`"
        )
    if verdict["outcome"] == Outcome.INCONCLUSIVE:
        return _after_inconclusive(manifest)
    run = manifest["run"]
    float_model = manifest["targets"][verdict["target"]]["fp32"]
    agreement = f"the float32 model has {100 * float_model['agreement']:.2f} %"
    if float_model["agreement"] >= verdict["threshold"]:
        return f"{agreement}, so quantization is the cause: {_for_quantization(run['quantize'])}"
    if run["student"] == "same":
        return (
            f"{agreement}, although it is the teacher: check input.mean, input.std and "
            "input.value_range"
        )
    return (
        f"{agreement}, so distillation is the cause: raise distill.budget "
        f"({_budget(run['distill']['budget'])}), use a wider student, or check "
        "input.mean and input.std with --student same"
    )


def _for_quantization(settings: dict[str, Any]) -> str:
    section = QuantizeSection.model_validate(settings)
    if not section.tunes:
        return "set quantize.method: adversarial, which fine-tunes the int8 student"
    return (
        f"raise quantize.budget ({_budget(settings['budget'])}), or keep layers in float "
        "with quantize.float_layers"
    )


def _after_inconclusive(manifest: Manifest) -> str:
    """Return the number of probes at which the interval would no longer contain the threshold."""
    verdict = manifest["verdict"]
    share, threshold = verdict["agreement"], verdict["threshold"]
    z = NormalDist().inv_cdf((1 + verdict["confidence"]) / 2)
    # The larger variance of the two: Wilson's interval is wider than the normal one near 1.
    variance = max(share * (1 - share), threshold * (1 - threshold))
    distance = abs(share - threshold)
    needed = MAX_COUNT + 1 if distance == 0 else z * z * variance / distance**2
    if needed > MAX_COUNT:
        return (
            "the agreement is too close to the threshold for any number of probes: train longer, "
            "or set another gate.agreement"
        )
    images = 1000 * -int(-needed // 1000)
    return f"raise gate.images from {verdict['images']} to about {images}, or train longer"


def _budget(budget: dict[str, int | None]) -> str:
    return ", ".join(f"now {name}: {value}" for name, value in budget.items() if value is not None)
