"""Where a run lost agreement with the teacher, hop by hop, on the same probes."""

from dataclasses import dataclass

from pipeline.bundle.run_figures import require_between
from targets.bundle.bundle_files import Manifest


@dataclass(frozen=True)
class Hop:
    """A form of the student, and what the step that made it cost.

    Attributes:
        form: The form, for example "float student".
        cause: What made it from the form before it, for example "distillation".
        agreement: Its agreement with the teacher, 0 to 1.
        low: Lower end of the confidence interval.
        high: Upper end.
        loss: Percentage points of agreement lost since the form before it; below 0 for a gain. The
            first form is compared with the teacher, which agrees with itself on all probes.
    """

    form: str
    cause: str
    agreement: float
    low: float
    high: float
    loss: float


HOPS = {
    "float": ("float student", "distillation"),
    "fake-quantized": ("fake-quantized student", "quantization"),
    "exported": ("exported student", "export"),
    "compiled": ("compiled student", "compilation"),
}
"""Form and cause of each hop, by its key in the manifest, in the order of a run."""


def hop_losses(manifest: Manifest) -> list[Hop]:
    """Return the hops of a run in their order; empty if the bundle has no figures for them.

    The compiled student is the int8 model of the target with the worst verdict.

    Args:
        manifest: The manifest of a run's bundle.

    Raises:
        One of PARSE_ERRORS: If the manifest is malformed.
    """
    # Bundles of earlier versions have no hops.
    measured = manifest.get("hops")
    if not measured or not manifest["verdict"]:
        return []
    measured = {**measured, "compiled": manifest["verdict"]}
    hops, before = [], 1.0
    for key, (form, cause) in HOPS.items():
        figures = measured[key]
        share = figures["agreement"]
        require_between(0, 1, share, figures["low"], figures["high"])
        loss = 100 * (before - share)
        hops.append(Hop(form, cause, share, figures["low"], figures["high"], loss))
        before = share
    return hops


def loss_sentence(hops: list[Hop]) -> str:
    """Return what each hop cost as one sentence; "" without hops.

    Example:
        >>> loss_sentence([Hop("float student", "distillation", 0.98, 0.97, 0.99, 2.0)])
        'Of 100 points of agreement, distillation cost 2.0.'
    """
    if not hops:
        return ""
    costs = [
        f"{hop.cause} {'gained' if shown < 0 else 'cost'} {abs(shown):.1f}"
        for hop in hops
        # Without -0.0, which would be shown as a gain of nothing.
        for shown in (round(hop.loss, 1) + 0.0,)
    ]
    return f"Of 100 points of agreement, {', '.join(costs)}."
