"""Reading a run file: YAML in, a checked configuration out, every fault in one line."""

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
from pipeline.config.schema import RunConfig, Section


@dataclass(frozen=True)
class Changes:
    """What a command line or a form sets in place of a run file; None leaves its own word.

    Attributes:
        teacher: The teacher's weights.
        student: An architecture, or "same"; another one's bundle has another name.
        recipe: To distil by; the run file's overrides were meant for its own, and go with it.
        targets: All that the run is for; for others than the run file's, under another name.
        budget: Student steps of the distillation.
        seed: Of the run.
    """

    teacher: str | None = None
    student: str | None = None
    recipe: str | None = None
    targets: tuple[str, ...] | None = None
    budget: int | None = None
    seed: int | None = None


AS_IT_IS = Changes()


def read_run_file(place: Path | str, changes: Changes = AS_IT_IS) -> RunConfig:
    """Read and check a run file; a relative `teacher.weights` is taken from its folder.

    Args:
        place: The file, or its URL.
        changes: Made to what it says, before it is checked.

    Raises:
        InputError: When it is missing, no YAML, or says something the schema does not allow.
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
    except (yaml.YAMLError, IndexError, *PARSE_ERRORS) as error:  # Of a tag that does not suit.
        raise InputError(f"{place}: not YAML ({error})") from None
    if not isinstance(document, dict):
        raise InputError(f"{place}: a run file is a mapping of sections, see examples/")
    config = parse_run(_changed(document, changes), str(place))
    weights = config.teacher.weights
    if "://" not in weights and not Path(weights).is_absolute():
        folder, slash, _ = str(place).rpartition("/")
        weights = f"{folder}{slash}{weights}"
    teacher = config.teacher.model_copy(update={"weights": weights})
    return config.model_copy(update={"teacher": teacher})


def _changed(document: dict[str, Any], changes: Changes) -> dict[str, Any]:
    """The document as it would read with the changes written into it."""
    whole: dict[str, Any] = {"targets": changes.targets, "seed": changes.seed}
    if changes.student:
        same = changes.student == "same"
        whole["student"] = "same" if same else {"architecture": changes.student}
    whole["name"] = _name(document, whole)
    parts: dict[str, dict[str, Any]] = {"teacher": {}, "distill": {}}
    if changes.teacher:
        parts["teacher"]["weights"] = changes.teacher
    if changes.recipe:
        parts["distill"] |= {"recipe": changes.recipe, "overrides": {}}
    if changes.budget is not None:
        parts["distill"]["budget"] = {"steps": changes.budget}
    for name, part in parts.items():
        section = document.get(name, {})
        # What is no section is left for the check to complain of.
        if part and isinstance(section, dict):
            whole[name] = {**section, **part}
    return {**document, **{name: value for name, value in whole.items() if value is not None}}


def _name(document: dict[str, Any], whole: dict[str, Any]) -> str | None:
    """Another student, or one for other targets, is another product and has another name."""
    apart = []
    if whole.get("student") and whole["student"] != document.get("student"):
        other = whole["student"]
        apart.append(other if other == "same" else other["architecture"])
    own = document.get("targets") or RunConfig.model_fields["targets"].default
    own_targets = list(own) if isinstance(own, (list, tuple)) else []
    if whole["targets"] is not None and list(whole["targets"]) != own_targets:
        apart += [name for name in whole["targets"] if name != HERE] or [HERE]
    name = document.get("name")
    # A name that is none is left for the check to complain of.
    if not apart or not isinstance(name, str):
        return None
    return re.sub("[^a-z0-9._-]+", "-", ".".join([name, *apart]).lower())


def parse_run(document: dict[str, Any], source: str) -> RunConfig:
    """Check a run file's content.

    Args:
        document: The parsed YAML.
        source: What to call it in an error.

    Raises:
        InputError: With the first fault; for an unknown key with the nearest right one.
    """
    try:
        return RunConfig.model_validate(document)
    except ValidationError as error:
        raise InputError(f"{source}: {_first_fault(error)}") from None


PLAINLY = {
    "tuple_type": "must be a list, such as [one, other]",
    "model_type": "must be a section of keys, such as {recipe: house}",
    "model_attributes_type": "must be a section of keys, such as {recipe: house}",
    "dict_type": "must be a section of keys",
    "string_pattern_mismatch": "must be of small letters, digits, dots, dashes and underscores",
}
"""What the schema's own words do not say to someone who knows YAML only, by kind of fault."""


def _first_fault(error: ValidationError) -> str:
    # Of a word or a section, what is wrong with the section says more.
    faults = sorted(error.errors(), key=lambda fault: fault["type"] == "literal_error")
    fault = next((f for f in faults if f["type"] == "extra_forbidden"), faults[0])
    parts = [str(part) for part in fault["loc"] if part not in ("StudentSection",)]
    if fault["type"] != "extra_forbidden":
        said = PLAINLY.get(fault["type"], fault["msg"].removeprefix("Value error, "))
        return f"{'.'.join(parts) or 'run file'}: {said}"
    *parents, key = parts
    known = _fields_at(parents)
    where = f" in {'.'.join(parents)}" if parents else ""
    return f"unknown key {key!r}{where}{did_you_mean(key, known)}"


def _fields_at(parents: list[str]) -> list[str]:
    section: Any = RunConfig
    for parent in parents:
        annotation = section.model_fields[parent].annotation
        candidates = (annotation, *getattr(annotation, "__args__", ()))
        section = next(c for c in candidates if isinstance(c, type) and issubclass(c, Section))
    return list(section.model_fields)
