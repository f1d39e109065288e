"""The figures of a run that are compared with those of other runs."""

from dataclasses import asdict, dataclass
from typing import Any

from base.untrusted_files import MAX_FILE_BYTES
from targets.bundle.bundle_files import Manifest
from targets.bundle.verdict import Outcome

MAX_LATENCY_MS = 1e9
"""Largest accepted latency, about twelve days."""


@dataclass(frozen=True)
class TargetFigures:
    """The figures of a run's two models on one CPU target.

    Attributes:
        fp32_bytes: Size of the float32 model.
        int8_bytes: Size of the int8 model.
        fp32_ms: Median latency of the float32 model; None if it was not measured.
        int8_ms: Median latency of the int8 model; None if it was not measured.
        fp32_agreement: The float32 model's agreement with the teacher, 0 to 1.
        int8_agreement: The int8 model's agreement with the teacher, 0 to 1.
        recommended: "int8" or "fp32"; None if neither passed.

    Raises:
        TypeError, ValueError: If a field is malformed. Fields are read from manifests and stores.
    """

    fp32_bytes: int
    int8_bytes: int
    fp32_ms: float | None
    int8_ms: float | None
    fp32_agreement: float
    int8_agreement: float
    recommended: str | None

    def __post_init__(self) -> None:
        _require(int, self.fp32_bytes, self.int8_bytes)
        require_between(0, MAX_FILE_BYTES, self.fp32_bytes, self.int8_bytes)
        require_between(0, 1, self.fp32_agreement, self.int8_agreement)
        measured = [time for time in (self.fp32_ms, self.int8_ms) if time is not None]
        require_between(0, MAX_LATENCY_MS, *measured)
        _require((str, type(None)), self.recommended)

    @property
    def size_ratio(self) -> float | None:
        """The int8 model's size, divided by the float32 model's."""
        return self.int8_bytes / self.fp32_bytes if self.fp32_bytes else None

    @property
    def speedup(self) -> float | None:
        """The float32 model's latency, divided by the int8 model's."""
        return self.fp32_ms / self.int8_ms if self.fp32_ms and self.int8_ms else None


@dataclass(frozen=True)
class RunFigures:
    """The figures of a run.

    Attributes:
        name: The run's name.
        created: When the bundle was written, in ISO 8601, UTC.
        bundle: The bundle's digest.
        teacher: The teacher's architecture.
        student: The student's architecture.
        outcome: "pass", "fail" or "inconclusive"; None if nothing was exported.
        agreement: The int8 model's agreement with the teacher on the target with the worst verdict,
            0 to 1; None if nothing was exported.
        low: Lower end of its confidence interval.
        high: Upper end.
        targets: The figures of each CPU target, by its name.

    Raises:
        TypeError, ValueError: If a field is malformed. Fields are read from manifests and stores.
    """

    name: str
    created: str
    bundle: str
    teacher: str
    student: str
    outcome: str | None
    agreement: float | None
    low: float | None
    high: float | None
    targets: dict[str, TargetFigures]

    def __post_init__(self) -> None:
        _require(str, self.name, self.created, self.bundle, self.teacher, self.student)
        if self.outcome is None:
            _require(type(None), self.agreement, self.low, self.high)
        else:
            Outcome(self.outcome)
            require_between(0, 1, self.agreement, self.low, self.high)

    def as_json(self) -> dict[str, Any]:
        """Return the figures as values for a JSON file."""
        return asdict(self)


def run_figures(manifest: Manifest) -> RunFigures:
    """Return the figures in the manifest of a run's bundle.

    Raises:
        One of PARSE_ERRORS: If the manifest is malformed or of another version.
    """
    verdict = manifest["verdict"] or {}
    return RunFigures(
        name=manifest["name"],
        created=manifest["created"],
        bundle=manifest["bundle"],
        teacher=manifest["teacher"]["architecture"],
        student=manifest["student"],
        outcome=verdict["outcome"] if verdict else None,
        agreement=verdict.get("agreement"),
        low=verdict.get("low"),
        high=verdict.get("high"),
        targets={
            name: TargetFigures(
                fp32_bytes=target["fp32"]["bytes"],
                int8_bytes=target["int8"]["bytes"],
                fp32_ms=target["fp32"]["milliseconds"],
                int8_ms=target["int8"]["milliseconds"],
                fp32_agreement=target["fp32"]["agreement"],
                int8_agreement=target["int8"]["agreement"],
                recommended=target["recommended"],
            )
            for name, target in manifest["targets"].items()
        },
    )


def figures_from_json(document: dict[str, Any]) -> RunFigures:
    """Return the figures that `RunFigures.as_json` returned.

    Raises:
        One of PARSE_ERRORS: If the document is malformed.
    """
    targets = {name: TargetFigures(**target) for name, target in document["targets"].items()}
    return RunFigures(**{**document, "targets": targets})


def _require(kinds: type | tuple[type, ...], *values: Any) -> None:
    for value in values:
        if not isinstance(value, kinds):
            raise TypeError(f"{value!r} has the wrong type")


def require_between(low: float, high: float, *values: Any) -> None:
    """Check numbers that were read from a manifest or a store.

    Raises:
        TypeError, ValueError: If a value is no number from `low` to `high`.
    """
    _require((float, int), *values)
    for value in values:
        if not low <= value <= high:
            raise ValueError(f"{value!r} is not between {low} and {high}")
