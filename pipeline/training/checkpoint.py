"""A loop's checkpoint: where it is kept, and whether what comes of it is exact."""

import json
import tempfile
from pathlib import Path
from typing import Any

import torch

from base.errors import first_line
from base.one_line import one_line
from pipeline.steps.step_context import Work
from pipeline.teachers.torch_file import load_torch
from targets.catalogue.instruction_sets import this_cpu

SAVE_EVERY, SEND_EVERY = 15.0, 60.0
"""Seconds between two checkpoints: to a disk, and over a network."""

PARTS = {
    "machine": str,
    "loop": dict,
    "curve": list,
    "shares": list,
    "seconds": float,
    "elsewhere": list,
}
"""Of what a loop saves, and the machine that saved it."""


class Checkpoint:
    """The checkpoint of one phase of a step.

    Args:
        work: The step.
        phase: Which.

    Attributes:
        every: Seconds between two of them.
        place: In the store.
    """

    def __init__(self, work: Work, phase: str) -> None:
        self._work, self._phase = work, phase
        self._name = f"{phase.replace(':', '').replace(' ', '-')}.checkpoint"
        self.place = f"{work.unfinished.folder}/{self._name}"
        self.every = SEND_EVERY if work.unfinished.is_far else SAVE_EVERY

    def load(self) -> dict[str, Any] | None:
        """What was saved last, if anything was; says so, and whether it goes on exactly.

        On another CPU, or with other threads, sums are rounded otherwise: `elsewhere` in what is
        returned holds a line about every such machine. (Another torch is another step.)
        """
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "checkpoint")
            if not self._work.unfinished.fetch(self._name, path):
                return None
            try:
                with path.open("rb") as file:
                    saved: dict[str, Any] = load_torch(file)
                _check_parts(saved)
            except Exception as error:  # torch raises half a dozen types
                self._say(f"the checkpoint is damaged, starts anew ({first_line(error)})")
                return None
        self._say("going on from a checkpoint")
        if saved["machine"] != machine():
            there = one_line(saved["machine"])
            line = f"{self._phase}: went on from a checkpoint of {there}, so not bit for bit"
            self._work.reporter.say(line)
            saved["elsewhere"] = [*saved["elsewhere"], line]
        return saved

    def save(self, state: dict[str, Any]) -> None:
        """Keep a state in place of the last; one that cannot be kept is no reason to stop."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "checkpoint")
            try:
                torch.save({**state, "machine": machine()}, path)
                self._work.unfinished.keep(self._name, path)
            except OSError as error:
                self._say(f"no checkpoint could be kept ({error.strerror or error})")

    def _say(self, line: str) -> None:
        self._work.reporter.say(f"{self._phase}: {line}")


def _check_parts(saved: dict[str, Any]) -> None:
    """Refuse what is no checkpoint: all but the loop's state becomes notes of the step, in JSON.

    Raises:
        KeyError, TypeError, ValueError: When it is none.
    """
    if not all(isinstance(saved[name], kind) for name, kind in PARTS.items()):
        raise TypeError("another version's, or none of ours")
    json.dumps([saved[name] for name in PARTS if name != "loop"])


def machine() -> str:
    """What the bits of a run depend on, beside its seed."""
    names = [this_cpu().model, f"{torch.get_num_threads()} threads"]
    if torch.cuda.is_available():
        names.append(torch.cuda.get_device_name())
    return ", ".join(names)
