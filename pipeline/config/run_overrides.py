"""Values that a command line or a form sets instead of the run file's."""

import re
from dataclasses import dataclass
from typing import Any

from pipeline.config.chosen_targets import HERE
from pipeline.config.schema import RunConfig


@dataclass(frozen=True)
class RunOverrides:
    """Values that a command line or a form sets instead of the run file's; None keeps the file's.

    Attributes:
        teacher: The teacher's weights.
        student: An architecture, or "same". Another student's bundle has another name.
        recipe: The recipe of the distillation; the file's overrides of its own recipe are dropped.
        targets: All targets of the run. With other targets the bundle has another name.
        budget: Student steps of the distillation.
        seed: The run's seed.
    """

    teacher: str | None = None
    student: str | None = None
    recipe: str | None = None
    targets: tuple[str, ...] | None = None
    budget: int | None = None
    seed: int | None = None


NO_OVERRIDES = RunOverrides()


def overridden(document: dict[str, Any], overrides: RunOverrides) -> dict[str, Any]:
    """Return the document with the overrides written into it."""
    whole: dict[str, Any] = {"targets": overrides.targets, "seed": overrides.seed}
    if overrides.student:
        same = overrides.student == "same"
        whole["student"] = "same" if same else {"architecture": overrides.student}
    whole["name"] = _new_name(document, whole)
    parts: dict[str, dict[str, Any]] = {"teacher": {}, "distill": {}}
    if overrides.teacher:
        parts["teacher"]["weights"] = overrides.teacher
    if overrides.recipe:
        parts["distill"] |= {"recipe": overrides.recipe, "overrides": {}}
    if overrides.budget is not None:
        parts["distill"]["budget"] = {"steps": overrides.budget}
    for name, part in parts.items():
        section = document.get(name, {})
        # If it is not a section, the check reports it.
        if part and isinstance(section, dict):
            whole[name] = {**section, **part}
    return {**document, **{name: value for name, value in whole.items() if value is not None}}


def dropped_values(document: dict[str, Any], overrides: RunOverrides) -> list[str]:
    """Return a line about each value of the file that the overrides drop without replacing it.

    Args:
        document: A valid run file.
        overrides: Values that replace the file's.
    """
    lines = []
    distill, student = document.get("distill", {}), document["student"]
    if overrides.recipe and distill.get("overrides"):
        values = _listed(distill["overrides"])
        lines.append(f"recipe {overrides.recipe}: distill.overrides of the run file ({values}) are")
    if overrides.budget is not None and "budget" in distill:
        values = _listed(distill["budget"])
        lines.append(f"budget {overrides.budget}: distill.budget of the run file ({values}) is")
    if overrides.student and student != "same":
        others = {key: value for key, value in student.items() if key != "architecture"}
        if others:
            text = f"the run file's other keys of student ({_listed(others)}) are"
            lines.append(f"student {overrides.student}: {text}")
    return [f"{line} not used" for line in lines]


def _listed(values: dict[str, Any]) -> str:
    return ", ".join(f"{name}: {value}" for name, value in values.items())


def _new_name(document: dict[str, Any], whole: dict[str, Any]) -> str | None:
    """Return the bundle's name if student or targets differ from the file's, else None."""
    suffixes = []
    if whole.get("student") and whole["student"] != document.get("student"):
        other = whole["student"]
        suffixes.append(other if other == "same" else other["architecture"])
    own = document.get("targets") or RunConfig.model_fields["targets"].default
    own_targets = list(own) if isinstance(own, (list, tuple)) else []
    if whole["targets"] is not None and list(whole["targets"]) != own_targets:
        suffixes += [name for name in whole["targets"] if name != HERE] or [HERE]
    name = document.get("name")
    # If the name is not a string, the check reports it.
    if not suffixes or not isinstance(name, str):
        return None
    return re.sub("[^a-z0-9._-]+", "-", ".".join([name, *suffixes]).lower())
