"""What a step is handed, and what it gives back."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.config.schema import RunConfig
from pipeline.store.step_workspace import Unfinished
from pipeline.training.progress import Reporter


@dataclass(frozen=True)
class Work:
    """One step's surroundings.

    Attributes:
        config: The run file.
        settings: The part of it that the step's key was made of, as JSON.
        inputs: The files the step asked for, by role.
        folder: For the files it makes; nobody else's.
        unfinished: What a next try can go on from, here or elsewhere.
        reporter: Where to say how far it is.
        target: The target it works for, if it works for one.
    """

    config: RunConfig
    settings: Any
    inputs: dict[str, Path]
    folder: Path
    unfinished: Unfinished
    reporter: Reporter
    target: str = ""


@dataclass(frozen=True)
class Made:
    """What a step made.

    Attributes:
        files: By role.
        notes: Figures worth showing, that enter no key.
    """

    files: dict[str, Path]
    notes: dict[str, Any] = field(default_factory=dict)
