"""What a step is handed, and what it gives back."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.config import RunConfig
from pipeline.progress import Reporter


@dataclass(frozen=True)
class Work:
    """One step's surroundings.

    Attributes:
        config: The run file.
        inputs: The files the step asked for, by role.
        folder: For the step's own files; outlives an interruption, so that the next try goes on.
        reporter: Where to say how far it is.
    """

    config: RunConfig
    inputs: dict[str, Path]
    folder: Path
    reporter: Reporter


@dataclass(frozen=True)
class Made:
    """What a step made.

    Attributes:
        files: By role.
        notes: Figures worth showing; no digest covers them.
    """

    files: dict[str, Path]
    notes: dict[str, Any] = field(default_factory=dict)
