"""The digest that decides whether a measured row is still valid.

A row stores the digest of its job. As long as the job has that digest, the row is not measured
again. A job is described as data: nested JSON values in which every part is a dict with its class
name under "type". The digest covers types, field names and values, but leaves out every field that
has its default value. Each table fixes the defaults in a file, `defaults.json`:

    {
      "renamed": {"NewType": "OldType", "OldType.new_field": "old_field"},
      "defaults": {"OldType": {"old_field": 1}}
    }

Rows therefore stay valid if

- a field with a default is added: until the file lists it, the default in the code is used;
- a type or a field is renamed: add a line to "renamed", from the new name to the name in the file;
- a default in the code changes: the rows of jobs that still have the old value stay valid.

The defaults that are new in the code are added to the file whenever the table is written, or by
`python -m benchmarks.fix_defaults` after a field was added. An entry is never changed.
"""

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Data = Any
"""A JSON value."""

Defaults = Mapping[str, Mapping[str, Data]]
"""Default values by type and field."""

DIGITS = 12
"""Hexadecimal digits of a digest."""


@dataclass(frozen=True)
class DigestRules:
    """The fixed defaults and names of a table.

    Attributes:
        fixed: Defaults from the file, by the names in the file.
        renamed: The name in the file for each name that has changed since. The key of a type is
            its present name. The key of a field is "Type.field", with the type's name in the file
            and the field's present name.
        code: Defaults of the present code, by present names.
    """

    fixed: Defaults
    renamed: Mapping[str, str]
    code: Defaults

    def digest(self, data: Data) -> str:
        """Return the digest of a job that is described as data."""
        text = json.dumps(self.covered(data), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:DIGITS]

    def covered(self, data: Data) -> Data:
        """Return what the digest covers: no defaults, and names as in the file."""
        if isinstance(data, Mapping):
            type_name, kept = data.get("type", ""), {}
            for name, value in data.items():
                covered = self._name(value) if name == "type" else self.covered(value)
                if name == "type" or covered != self._default(type_name, name):
                    kept[self._field(type_name, name)] = covered
            return kept
        if isinstance(data, list | tuple):
            return [self.covered(item) for item in data]
        # 1 and 1.0 are the same setting.
        return int(data) if isinstance(data, float) and data.is_integer() else data

    def missing(self) -> dict[str, dict[str, Data]]:
        """Return the defaults of the code that the file lacks, by the names in the file."""
        lacking = {
            self._name(type_name): {
                self._field(type_name, name): self.covered(value)
                for name, value in fields.items()
                if self._field(type_name, name) not in self.fixed.get(self._name(type_name), {})
            }
            for type_name, fields in self.code.items()
        }
        return {type_name: fields for type_name, fields in lacking.items() if fields}

    def _name(self, type_name: str) -> str:
        return self.renamed.get(type_name, type_name)

    def _field(self, type_name: str, name: str) -> str:
        return self.renamed.get(f"{self._name(type_name)}.{name}", name)

    def _default(self, type_name: str, name: str) -> Data:
        fixed = self.fixed.get(self._name(type_name), {})
        if (field := self._field(type_name, name)) in fixed:
            return fixed[field]
        fields = self.code.get(type_name, {})
        return self.covered(fields[name]) if name in fields else _NO_DEFAULT


_NO_DEFAULT = object()


def read_rules(path: Path, code: Defaults) -> DigestRules:
    """Return the rules of a table.

    Args:
        path: The table's defaults.json.
        code: Defaults of the present code.
    """
    document = json.loads(path.read_text())
    return DigestRules(document["defaults"], document["renamed"], code)


def add_missing_defaults(path: Path, rules: DigestRules) -> dict[str, dict[str, Data]]:
    """Add the defaults that a file lacks, and return them.

    Args:
        path: The table's defaults.json.
        rules: The rules that were read from this file.
    """
    missing = rules.missing()
    if missing:
        document = json.loads(path.read_text())
        for type_name, fields in missing.items():
            document["defaults"].setdefault(type_name, {}).update(fields)
        path.write_text(json.dumps(document, indent=1, sort_keys=True) + "\n")
    return missing


def part_data(part: Any) -> Data:
    """Return a dataclass instance (or a container of some) as data."""
    if dataclasses.is_dataclass(part):
        fields = {f.name: part_data(getattr(part, f.name)) for f in dataclasses.fields(part)}
        return {"type": type(part).__name__, **fields}
    if isinstance(part, Mapping):
        return {key: part_data(value) for key, value in part.items()}
    if isinstance(part, list | tuple):
        return [part_data(value) for value in part]
    return part


def dataclass_defaults(classes: Iterable[type]) -> Defaults:
    """Return the defaults of dataclasses."""
    found: dict[str, dict[str, Data]] = {}
    for part in classes:
        fields = found[part.__name__] = {}
        for field in dataclasses.fields(part):
            if field.default is not dataclasses.MISSING:
                fields[field.name] = part_data(field.default)
            elif field.default_factory is not dataclasses.MISSING:
                fields[field.name] = part_data(field.default_factory())
    return found
