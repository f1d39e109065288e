"""A failed build: what happened and what to do."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Failure:
    """Why there is no engine.

    Attributes:
        kind: A short, stable name for programs.
        diagnosis: What happened.
        remedy: What to do about it.
        transient: Whether the same build may succeed on another attempt.
    """

    kind: str
    diagnosis: str
    remedy: str
    transient: bool = False

    def __str__(self) -> str:
        """Return diagnosis and remedy as one line."""
        return f"{self.diagnosis}; {self.remedy}"


class BuildError(RuntimeError):
    """An engine could not be built or run.

    Attributes:
        failure: Why.
    """

    def __init__(self, failure: Failure) -> None:
        super().__init__(str(failure))
        self.failure = failure
