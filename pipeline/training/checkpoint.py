"""The checkpoint of a loop: where it is kept, and whether training continues exactly from it."""

import json
from typing import Any

import torch

from base.errors import first_line
from base.full_disk import temporary_folder
from base.one_line import one_line
from pipeline.step_types import StepContext
from pipeline.teachers.torch_file import load_torch
from targets.catalogue.instruction_sets import this_cpu

SAVE_INTERVAL_S = 15.0
"""Seconds between two checkpoints in a store on this machine."""

UPLOAD_INTERVAL_S = 60.0
"""Seconds between two checkpoints in a remote store."""

PARTS = {
    "machine": str,
    "loop": dict,
    "curve": list,
    "shares": list,
    "seconds": float,
    "elsewhere": list,
}
"""The parts of a checkpoint and their types. `elsewhere` has a line for every change of machine."""


class Checkpoint:
    """The checkpoint of one phase of a step.

    Args:
        context: The step.
        phase: The phase.

    Attributes:
        interval_s: Seconds between two checkpoints.
        place: The checkpoint's file in the store.
    """

    def __init__(self, context: StepContext, phase: str) -> None:
        workspace = context.workspace
        self._workspace, self._reporter, self._phase = workspace, context.reporter, phase
        self._name = f"{phase.replace(':', '').replace(' ', '-')}.checkpoint"
        self.place = f"{workspace.folder}/{self._name}"
        self.interval_s = UPLOAD_INTERVAL_S if workspace.is_remote else SAVE_INTERVAL_S

    def load(self) -> dict[str, Any] | None:
        """Return what was last saved, or None if there is no usable checkpoint.

        On another CPU, or with other threads, sums are rounded differently; `elsewhere` in the
        result then has a line about it. (Another version of torch is another step.)
        """
        reporter, phase = self._reporter, self._phase
        with temporary_folder() as folder:
            path = folder / "checkpoint"
            if not self._workspace.fetch(self._name, path):
                return None
            try:
                with path.open("rb") as file:
                    saved: dict[str, Any] = load_torch(file)
                _check_parts(saved)
            except Exception as error:  # torch raises half a dozen types
                why = first_line(error)
                reporter.say(f"{phase}: the checkpoint is damaged, starting again ({why})")
                return None
        reporter.say(f"{phase}: resuming from a checkpoint")
        if saved["machine"] != machine():
            there = one_line(saved["machine"])
            line = f"{phase}: resumed from a checkpoint of {there}; not bit-identical"
            reporter.say(line)
            saved["elsewhere"] = [*saved["elsewhere"], line]
        return saved

    def save(self, state: dict[str, Any]) -> None:
        """Save a state, replacing the last one. A failure to save does not stop the training."""
        try:
            with temporary_folder() as folder:
                torch.save({**state, "machine": machine()}, path := folder / "checkpoint")
                self._workspace.save(self._name, path)
        except OSError as error:
            reporter, why = self._reporter, error.strerror or error
            where = f"{error.filename}: " if error.filename else ""
            reporter.say(f"{self._phase}: the checkpoint could not be saved ({where}{why})")


def _check_parts(saved: dict[str, Any]) -> None:
    """Check a checkpoint's parts: all but the loop's state become notes of the step, as JSON.

    Raises:
        KeyError, TypeError, ValueError: If it is not a checkpoint of this version.
    """
    if not all(isinstance(saved[name], kind) for name, kind in PARTS.items()):
        raise TypeError("not a checkpoint of this version")
    json.dumps([saved[name] for name in PARTS if name != "loop"])


def machine() -> str:
    """Return the hardware and threads that the bits of a result depend on."""
    names = [this_cpu().model, f"{torch.get_num_threads()} threads"]
    if torch.cuda.is_available():
        names.append(torch.cuda.get_device_name())
    return ", ".join(names)
