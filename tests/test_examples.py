"""The examples agree with the schema."""

from typing import Any

import pytest
import yaml

from pipeline.config.run_file import parse_run
from pipeline.config.schema import RunConfig
from pipeline.config.section import Section
from tests.support.quick_run import ROOT

NEEDED_FOR_SOME = {("run.teacher", "architecture")}
"""Keys that have a value in the file although they have a default: a state dict needs them."""

ALL_KEYS = ROOT / "examples" / "all_keys.yaml"


def sections(section: Any, given: Any, place: str = "run"):
    """Yield every section of the schema with its values in the file."""
    yield place, section, given
    for name, field in section.model_fields.items():
        candidates = (field.annotation, *getattr(field.annotation, "__args__", ()))
        inner = next((c for c in candidates if isinstance(c, type) and issubclass(c, Section)), 0)
        if inner and name != "budget":
            yield from sections(inner, given[name], f"{place}.{name}")


@pytest.mark.parametrize(
    ("place", "section", "given"), list(sections(RunConfig, yaml.safe_load(ALL_KEYS.read_text())))
)
def test_all_keys_has_every_key_with_its_default(place, section, given):
    assert set(given) == set(section.model_fields), place
    read = parse_run(yaml.safe_load(ALL_KEYS.read_text()), "all_keys.yaml")
    for part in place.split(".")[1:]:
        read = getattr(read, part)
    for name, field in section.model_fields.items():
        if not field.is_required() and (place, name) not in NEEDED_FOR_SOME:
            assert getattr(read, name) == field.default, name


def test_keys_marked_as_needed_have_no_default():
    lines = ALL_KEYS.read_text().splitlines()
    marked = {line.strip().split(":")[0] for line in lines if "# needed" in line}
    needed = {
        name
        for _, section, _ in sections(RunConfig, yaml.safe_load(ALL_KEYS.read_text()))
        for name, field in section.model_fields.items()
        if field.is_required()
    }
    assert marked == needed
