"""Reading a run file: YAML in, a checked configuration out, every error in one line."""

from pathlib import Path
from typing import Any

import fsspec
import yaml
from pydantic import ValidationError

from base.errors import InputError
from base.notify import Notify
from base.suggest import did_you_mean
from base.untrusted_files import PARSE_ERRORS
from base.urls import check_url
from pipeline.config.run_overrides import NO_OVERRIDES, RunOverrides, dropped_values, overridden
from pipeline.config.schema import RunConfig
from pipeline.config.section import Section


def read_run_file(
    place: Path | str,
    overrides: RunOverrides = NO_OVERRIDES,
    notify: Notify = lambda line: None,
) -> RunConfig:
    """Read and check a run file. A relative `teacher.weights` starts at the run file's folder.

    Args:
        place: The file, or its URL.
        overrides: Values that replace the file's before it is checked.
        notify: Receives a line about each value of the file that the overrides drop.

    Raises:
        InputError: If the file is missing, is not YAML, or does not fit the schema.
    """
    check_url(str(place), "run file")
    try:
        with fsspec.open(str(place), "rt", encoding="utf-8") as file:
            text = file.read()
    except (OSError, ImportError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise InputError(f"{place}: cannot be read ({why}); check the path") from None
    try:
        document = yaml.safe_load(text)
    # PyYAML raises more than YAMLError for tags that do not fit their value.
    except (yaml.YAMLError, IndexError, *PARSE_ERRORS) as error:
        raise InputError(f"{place}: not YAML ({error})") from None
    if not isinstance(document, dict):
        raise InputError(f"{place}: not a mapping of sections; see examples/ for run files")
    config = parse_run(overridden(document, overrides), str(place))
    for line in dropped_values(document, overrides):
        notify(line)
    weights = config.teacher.weights
    if "://" not in weights and not Path(weights).is_absolute():
        folder, slash, _ = str(place).rpartition("/")
        weights = f"{folder}{slash}{weights}"
    teacher = config.teacher.model_copy(update={"weights": weights})
    return config.model_copy(update={"teacher": teacher})


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
    found = sorted(error.errors(), key=lambda one: any("literal[" in str(x) for x in one["loc"]))
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
