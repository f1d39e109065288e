"""Reading a run file: YAML in, a checked configuration out, every error in one line."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fsspec
import yaml
from pydantic import ValidationError

from base.errors import InputError
from base.suggest import did_you_mean
from base.untrusted_files import PARSE_ERRORS
from base.urls import check_url
from pipeline.config.chosen_targets import HERE
from pipeline.config.schema import RunConfig
from pipeline.config.sections import Section


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


def read_run_file(place: Path | str, overrides: RunOverrides = NO_OVERRIDES) -> RunConfig:
    """Read and check a run file. A relative `teacher.weights` starts at the run file's folder.

    Args:
        place: The file, or its URL.
        overrides: Values that replace the file's before it is checked.

    Raises:
        InputError: If the file is missing, is not YAML, or does not fit the schema.
    """
    check_url(str(place), "run file")
    try:
        with fsspec.open(str(place), "rt", encoding="utf-8") as file:
            text = file.read()
    except (OSError, ImportError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise InputError(f"{place}: cannot be read ({why})") from None
    try:
        document = yaml.safe_load(text)
    # PyYAML raises more than YAMLError for tags that do not fit their value.
    except (yaml.YAMLError, IndexError, *PARSE_ERRORS) as error:
        raise InputError(f"{place}: not YAML ({error})") from None
    if not isinstance(document, dict):
        raise InputError(f"{place}: not a mapping of sections; see examples/ for run files")
    config = parse_run(_overridden(document, overrides), str(place))
    weights = config.teacher.weights
    if "://" not in weights and not Path(weights).is_absolute():
        folder, slash, _ = str(place).rpartition("/")
        weights = f"{folder}{slash}{weights}"
    teacher = config.teacher.model_copy(update={"weights": weights})
    return config.model_copy(update={"teacher": teacher})


def _overridden(document: dict[str, Any], overrides: RunOverrides) -> dict[str, Any]:
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


def parse_run(document: dict[str, Any], source: str) -> RunConfig:
    """Check a run file's content.

    Args:
        document: The parsed YAML.
        source: The file's name in errors.

    Raises:
        InputError: With the first error; for an unknown key, with the nearest known one.
    """
    try:
        return RunConfig.model_validate(document)
    except ValidationError as error:
        raise InputError(f"{source}: {_first_error(error)}") from None


MESSAGES = {
    "tuple_type": "must be a list, such as [one, other]",
    "model_type": "must be a section of keys, such as {recipe: house}",
    "model_attributes_type": "must be a section of keys, such as {recipe: house}",
    "dict_type": "must be a section of keys",
    "string_pattern_mismatch": "must be of small letters, digits, dots, dashes and underscores",
}
"""Messages in the terms of YAML, by pydantic's type of error."""


def _first_error(error: ValidationError) -> str:
    # For a value that may be a word or a section, the section's error says more.
    found = sorted(error.errors(), key=lambda one: one["type"] == "literal_error")
    first = next((one for one in found if one["type"] == "extra_forbidden"), found[0])
    parts = [str(part) for part in first["loc"] if part not in ("StudentSection",)]
    if first["type"] != "extra_forbidden":
        message = MESSAGES.get(first["type"], first["msg"].removeprefix("Value error, "))
        return f"{'.'.join(parts) or 'run file'}: {message}"
    *parents, key = parts
    where = f" in {'.'.join(parents)}" if parents else ""
    return f"unknown key {key!r}{where}{did_you_mean(key, _keys_of(parents))}"


def _keys_of(parents: list[str]) -> list[str]:
    """Return the keys of a section, by the names of the sections that lead to it."""
    section: Any = RunConfig
    for parent in parents:
        annotation = section.model_fields[parent].annotation
        candidates = (annotation, *getattr(annotation, "__args__", ()))
        section = next(c for c in candidates if isinstance(c, type) and issubclass(c, Section))
    return list(section.model_fields)
