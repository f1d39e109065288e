"""The run-file reference, from the pydantic schema."""

from typing import Any

from pipeline.config.schema import RunConfig
from reference_pages.docstrings import attributes, summary
from reference_pages.markdown import code, table

TOP = "Top level"
LIMITS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}

Schema = dict[str, Any]


def run_file_reference() -> str:
    """Return one heading and one table of keys for each section of a run file."""
    document = RunConfig.model_json_schema()
    sections = document["$defs"]
    parts = [_section(TOP, document, sections)]
    for key, schema in document["properties"].items():
        for name in _references(schema):
            parts.append(_section(key, sections[name], sections))
    shared = {n for name in sections for n in _references(sections[name])} - {
        n for schema in document["properties"].values() for n in _references(schema)
    }
    parts += [_section(name.lower(), sections[name], sections) for name in sorted(shared)]
    return "\n".join(parts)


def _section(title: str, schema: Schema, sections: dict[str, Schema]) -> str:
    docstring = schema.get("description", "")
    described = attributes(docstring)
    rows = [
        (
            code(key),
            _linked(key, field),
            _default(field, key in schema.get("required", ())),
            field.get("description") or described.get(key, ""),
        )
        for key, field in schema["properties"].items()
    ]
    heading = title if title == TOP else code(title)
    return f"## {heading}\n\n{summary(docstring)}\n\n" + table(
        ("key", "value", "default", "meaning"), rows
    )


def _references(schema: Any) -> list[str]:
    """Return the names of the sections that a schema refers to directly."""
    if isinstance(schema, list):
        return [name for part in schema for name in _references(part)]
    if not isinstance(schema, dict):
        return []
    own = [schema["$ref"].rsplit("/", 1)[1]] if "$ref" in schema else []
    return own + [name for value in schema.values() for name in _references(value)]


def _linked(key: str, field: Schema) -> str:
    """Return the type of a key, with a link if it is a section."""
    return _type(field).replace("section", f"[section](#{key})")


def _default(field: Schema, required: bool) -> str:
    if required:
        return "required"
    if "$ref" in field and not set(field["default"]) <= {"steps", "images"}:
        return "see there"
    return code(_yaml(field["default"]))


def _yaml(value: Any) -> str:
    """Return a default in YAML's flow style."""
    if isinstance(value, dict):
        pairs = (f"{key}: {_yaml(v)}" for key, v in value.items() if v is not None)
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_yaml, value)) + "]"
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) or '""'


def _type(field: Schema) -> str:
    """Return the type and limits of a key in words."""
    if "$ref" in field:
        return "section"
    if "anyOf" in field:
        return " or ".join(dict.fromkeys(map(_type, field["anyOf"])))
    if "const" in field:
        return code(field["const"])
    if "enum" in field:
        return " or ".join(map(code, field["enum"]))
    if field["type"] == "array":
        return _list(field)
    if field["type"] == "object":
        values = field["additionalProperties"]
        return f"map of names to {'values' if values is True else _limited(values, plural=True)}"
    if field["type"] == "null":
        return "`null`"
    if field["type"] == "boolean":
        return "`true` or `false`"
    return _limited(field)


def _list(field: Schema) -> str:
    count = f"{len(field['prefixItems'])} " if "prefixItems" in field else ""
    items = field["prefixItems"][0] if count else field["items"]
    return f"list of {count}{_limited(items, plural=True)}"


NAMES = {"integer": "whole number", "number": "number", "string": "text"}


def _limited(field: Schema, plural: bool = False) -> str:
    name = NAMES[field["type"]] + ("s" if plural and field["type"] != "string" else "")
    limits = [f"{sign} {_number(field[limit])}" for limit, sign in LIMITS.items() if limit in field]
    pattern = [f"matching `{field['pattern']}`"] if "pattern" in field else []
    return " ".join([name, *([", ".join(limits)] if limits else []), *pattern])


def _number(value: float) -> str:
    return f"{int(value):,}" if value == int(value) else f"{value:g}"
