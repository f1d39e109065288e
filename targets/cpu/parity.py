"""Check that a compiled graph gives the same predictions as the exported graph."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from base.notify import Advance, Counting, not_counted
from targets.bundle.golden import Golden
from targets.cpu.session import Logits, open_session, predict_golden

PARITY_PROBES = 256
"""Number of probes that are compared first. All are compared only if these differ too much."""

MIN_SAME = 0.995
"""Required share of equal predictions among the probes with a clear prediction."""

FLOAT_DISTANCE = 5e-3
"""Largest distance between the float graphs, relative to the root mean square of the logits.

Norms of almost constant features increase rounding differences to some thousandths. A step of an
8-bit quantizer is 1 / 127 of the largest value, so it is larger."""

INT8_DISTANCE = 1.5
"""Largest distance between the int8 graphs, relative to the distance between the exported int8 and
float graphs.

On x86, activations that are never negative get steps of half the size. This removes rounding errors
and adds errors half as large, a distance of up to sqrt(1 + 1/4) times the errors removed."""

CLEAR_MARGIN = 4
"""A prediction is clear if the difference of its two largest logits is more than this many times
the tolerance."""


class ParityError(ValueError):
    """A compiled graph differs too much from the exported graph.

    Attributes:
        precision: Of the graph, "int8" or "fp32".
    """

    def __init__(self, message: str, precision: str) -> None:
        super().__init__(message, precision)  # Both, so that the error can be pickled.
        self.precision = precision

    def __str__(self) -> str:
        """Return the message."""
        return str(self.args[0])


@dataclass(frozen=True)
class Parity:
    """How much a compiled graph differs from the exported one.

    Attributes:
        same: Share of equal predictions among all probes.
        same_clear: Share of equal predictions among the probes with a clear prediction; 1 if there
            is none.
        clear: Share of the probes with a clear prediction.
        distance: Root mean square of the difference of the logits.
        tolerance: The largest accepted distance.
    """

    same: float
    same_clear: float
    clear: float
    distance: float
    tolerance: float

    @property
    def holds(self) -> bool:
        """Whether the graphs agree. False if a logit is not finite."""
        return self.distance <= self.tolerance and self.same_clear >= MIN_SAME


def compare(expected: Logits, actual: Logits, tolerance: float) -> Parity:
    """Compare the logits (N, K) of an exported and a compiled graph.

    Integer kernels round in other places than the exported graph, so logits change slightly. If the
    two largest logits are close, the prediction may change too. This is not an error, so only clear
    predictions must be equal.
    """
    same = expected.argmax(1) == actual.argmax(1)
    two = np.partition(expected, -2, axis=1)[:, -2:]
    clear = two[:, 1] - two[:, 0] > CLEAR_MARGIN * tolerance
    return Parity(
        same=float(same.mean()),
        same_clear=float(same[clear].mean()) if clear.any() else 1.0,
        clear=float(clear.mean()),
        distance=_size(actual - expected),
        tolerance=tolerance,
    )


def check_parity(
    exported: dict[str, Path],
    compiled: dict[str, Path],
    golden: Golden,
    counting: Counting = not_counted,
) -> dict[str, Parity]:
    """Compare each compiled graph with the exported one, and return the differences.

    The tolerance of the float graph is `FLOAT_DISTANCE`. The tolerance of the int8 graph is
    `INT8_DISTANCE` times the distance between the logits of the exported float and int8 graphs:
    compiling must not change the logits much more than quantization does.

    Args:
        exported: The graphs by precision; "fp32" and "int8".
        compiled: The compiled graphs by precision.
        golden: The probes.
        counting: Shows the progress.

    Raises:
        ParityError: If a compiled graph differs too much.
    """
    for count in sorted({min(PARITY_PROBES, len(golden.pixels)), len(golden.pixels)}):
        part = "parity" if count <= PARITY_PROBES else "parity, all probes"
        with counting(part, count * (len(exported) + len(compiled))) as advance:
            found = _compare_all(exported, compiled, golden.subset(count), advance)
        if all(parity.holds for parity in found.values()):
            return found
    precision, parity = next((p, f) for p, f in found.items() if not f.holds)
    raise ParityError(
        f"compile: the optimized {precision} graph gives other logits than the exported graph: "
        f"they differ by {parity.distance:.3g} (allowed {parity.tolerance:.3g}), and "
        f"{100 * (1 - parity.same_clear):.1f} % of the clear predictions differ",
        precision,
    )


def _compare_all(
    exported: dict[str, Path], compiled: dict[str, Path], golden: Golden, advance: Advance
) -> dict[str, Parity]:
    expected = {
        precision: predict_golden(open_session(path, optimized=False, threads=0), golden, advance)
        for precision, path in exported.items()
    }
    floats = FLOAT_DISTANCE * _size(expected["fp32"])
    tolerances = {
        "fp32": floats,
        "int8": max(floats, INT8_DISTANCE * _size(expected["int8"] - expected["fp32"])),
    }
    return {
        precision: compare(
            expected[precision],
            predict_golden(open_session(path, threads=0), golden, advance),
            tolerances[precision],
        )
        for precision, path in compiled.items()
    }


def _size(logits: Logits) -> float:
    """Return the root mean square of logits."""
    return float(np.sqrt(np.mean(np.square(logits, dtype=np.float64))))
