"""The digest of a row: what it covers, and which changes of the code it ignores."""

import json
from dataclasses import dataclass, field

import pytest

from benchmarks.row_digest import (
    DigestRules,
    add_missing_defaults,
    dataclass_defaults,
    part_data,
    read_rules,
)


@dataclass(frozen=True)
class Pool:
    capacity: int
    share: float = 1.0


@dataclass(frozen=True)
class Method:
    steps: int
    rate: float = 0.1
    memory: Pool | None = None
    sizes: tuple[int, ...] = (1, 2)
    options: dict[str, float] = field(default_factory=dict)


FIXED = {
    "Pool": {"share": 1},
    "Method": {"rate": 0.1, "memory": None, "sizes": [1, 2], "options": {}},
}

DEFAULTS = dataclass_defaults([Pool, Method])


def rules(fixed=FIXED, renamed=None, code=DEFAULTS):
    return DigestRules(fixed, renamed or {}, code)


def test_digest_covers_types_names_and_values_that_are_not_defaults():
    data = part_data(Method(3, memory=Pool(8), options={"a": 1.0}))
    assert rules().covered(data) == {
        "type": "Method",
        "steps": 3,
        "memory": {"type": "Pool", "capacity": 8},
        "options": {"a": 1},
    }


@pytest.mark.parametrize(
    "other",
    [
        Method(4),
        Method(3, rate=0.2),
        Method(3, memory=Pool(8)),
        Method(3, sizes=(2, 1)),
        Method(3, options={"a": 0.0}),
        Pool(3),
    ],
)
def test_digest_changes_with_every_value(other):
    assert rules().digest(part_data(other)) != rules().digest(part_data(Method(3)))


def test_digest_ignores_the_order_of_fields():
    data = part_data(Method(3, memory=Pool(8, 0.5)))
    backwards = dict(reversed(data.items()))
    assert rules().digest(backwards) == rules().digest(data)


def test_digest_ignores_an_added_field_with_its_default():
    data = part_data(Method(3, memory=Pool(8)))
    added = {**data, "memory": {**data["memory"], "every": 1}}
    code = {**DEFAULTS, "Pool": {"share": 1.0, "every": 1}}
    assert rules(code=code).digest(added) == rules().digest(data)
    added["memory"]["every"] = 2
    assert rules(code=code).digest(added) != rules().digest(data)


def test_digest_ignores_renamed_types_and_fields():
    data = part_data(Method(3, memory=Pool(8, 0.5)))
    renamed = {
        "type": "Recipe",
        "count": 3,
        "rate": 0.1,
        "replay": {"type": "Ring", "size": 8, "share": 0.5},
        "sizes": [1, 2],
        "options": {},
    }
    names = {
        "Recipe": "Method",
        "Method.count": "steps",
        "Method.replay": "memory",
        "Ring": "Pool",
        "Pool.size": "capacity",
    }
    assert rules(renamed=names, code={}).digest(renamed) == rules().digest(data)


def test_changed_default_keeps_rows_with_the_old_value():
    code = {**DEFAULTS, "Method": {**DEFAULTS["Method"], "rate": 0.5}}
    old, new = part_data(Method(3, rate=0.1)), part_data(Method(3, rate=0.5))
    assert rules(code=code).digest(old) == rules().digest(old)
    assert rules(code=code).digest(new) != rules().digest(old)


def test_missing_defaults_are_added_and_old_entries_kept(tmp_path):
    path = tmp_path / "defaults.json"
    fixed = {"Method": {"rate": 0.7, "memory": None, "options": {}}}
    path.write_text(json.dumps({"renamed": {"Ring": "Pool"}, "defaults": fixed}))
    code = {"Method": DEFAULTS["Method"], "Ring": {"share": 1.0}}
    assert add_missing_defaults(path, read_rules(path, code)) == {
        "Method": {"sizes": [1, 2]},
        "Pool": {"share": 1},
    }
    document = json.loads(path.read_text())
    assert document["defaults"] == {
        "Method": {"rate": 0.7, "memory": None, "options": {}, "sizes": [1, 2]},
        "Pool": {"share": 1},
    }
    assert document["renamed"] == {"Ring": "Pool"}
    assert read_rules(path, code).missing() == {}
