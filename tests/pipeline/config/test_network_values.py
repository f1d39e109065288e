"""`factory_arguments` and `output` in a run file."""

import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from base.errors import InputError
from pipeline.config.network_sections import StudentSection
from pipeline.config.run_file import parse_run
from pipeline.config.step_settings import student_network, teacher_network
from pipeline.store.step_record import digest
from tests.support.quick_run import QUICK

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"))
)
VALUES = SCALARS | st.lists(SCALARS, max_size=3)
NAMES = st.from_regex(r"[a-z_][a-z0-9_]{0,5}", fullmatch=True)

ANYTHING = st.recursive(
    SCALARS | st.floats() | st.text() | st.dates() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=2),
)


def run_of(section, **changes):
    """Return the quick run, whose teacher or student is a torchvision model with these keys."""
    network = {**QUICK[section], "architecture": "resnet50", **changes}
    return parse_run({**QUICK, section: network}, "run.yaml")


def error_of(section, **changes):
    with pytest.raises(InputError) as caught:
        run_of(section, **changes)
    assert str(caught.value).isprintable()
    return str(caught.value)


@given(st.dictionaries(NAMES, VALUES, max_size=3))
def test_plain_arguments_are_kept_exactly(arguments):
    found = run_of("student", factory_arguments=arguments).student.factory_arguments
    assert repr(found) == repr(arguments)
    dumped = StudentSection(architecture="x", factory_arguments=arguments).model_dump(mode="json")
    assert json.loads(json.dumps(dumped.get("factory_arguments", {}))) == arguments


@given(st.dictionaries(NAMES, VALUES, max_size=2), st.dictionaries(NAMES, VALUES, max_size=2))
def test_keys_are_equal_only_for_equal_arguments(first, second):
    """Also 1, 1.0, true and "1" have different keys."""
    for section, settings in (("teacher", teacher_network), ("student", student_network)):
        one, other = (settings(run_of(section, factory_arguments=a)) for a in (first, second))
        same = sorted(map(repr, first.items())) == sorted(map(repr, second.items()))
        assert (digest(one) == digest(other)) == same


@given(ANYTHING)
def test_any_other_argument_is_refused_in_one_line(value):
    try:
        run = run_of("teacher", factory_arguments={"depth": value})
    except InputError as error:
        assert "teacher.factory_arguments: depth must be" in str(error)
        assert str(error).isprintable()
    else:
        json.dumps(teacher_network(run)).encode()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{depth: [[1]]}", "depth must be a finite number, a text"),
        ("{depth: {a: 1}}", "depth must be"),
        ("{depth: .inf}", "depth must be"),
        ("{depth: [1, .nan]}", "depth must be"),
        ("{depth: 2020-01-01}", "depth must be"),
        ('{depth: "\\uD800"}', "depth must be"),
        ("{no name: 1}", "'no name' is not the name of a Python argument"),
        ("{'': 1}", "'' is not the name"),
        ("{3: 1}", "factory_arguments.3"),
        ("[1]", "factory_arguments: must be a section of keys"),
    ],
)
@pytest.mark.parametrize("section", ["teacher", "student"])
def test_faulty_arguments_are_named(section, text, why):
    line = error_of(section, factory_arguments=yaml.safe_load(text))
    assert f"{section}.factory_arguments" in line
    assert why in line


def test_start_is_a_key_of_the_student_only_and_changes_its_key():
    assert run_of("student").student.start == "random"
    assert "start" not in student_network(run_of("student", start="random"))
    assert student_network(run_of("student", start="teacher"))["start"] == "teacher"
    assert "unknown key 'start' in teacher" in error_of("teacher", start="teacher")


@pytest.mark.parametrize("section", ["teacher", "student"])
@pytest.mark.parametrize("output", [-1, 0.5, True, [0], {"a": 1}])
def test_output_is_a_position_or_a_name(section, output):
    assert f"{section}.output: must be the position" in error_of(section, output=output)


@pytest.mark.parametrize("output", [0, 3, "logits", "0"])
def test_output_is_kept_and_changes_the_keys(output):
    for section, settings in (("teacher", teacher_network), ("student", student_network)):
        run = run_of(section, output=output)
        assert getattr(run, section).output == output
        assert settings(run)["output"] == output
        assert settings(run_of(section, output="other")) != settings(run)
