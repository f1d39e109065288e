"""The keys of `input` that describe how a picture becomes an input."""

import copy

import pytest

from base.errors import InputError
from pipeline.chain import chain
from pipeline.config.input_section import InputSection
from pipeline.config.picture_keys import PICTURE_KEYS
from pipeline.config.run_file import parse_run
from tests.support.quick_run import QUICK


def parsed(**keys):
    document = copy.deepcopy(QUICK)
    document["input"] |= keys
    return parse_run(document, "run.yaml")


def test_keys_are_those_of_the_section_with_their_defaults():
    fields = InputSection.model_fields
    assert {name: fields[name].default for name in PICTURE_KEYS} == PICTURE_KEYS


def test_no_step_has_them_in_its_settings():
    keys = {"resize": 40, "crop": [32, 32], "interpolation": "bicubic"}
    with_keys, without = parsed(**keys), parsed()
    assert [step.settings(with_keys, step.target) for step in chain(with_keys)] == [
        step.settings(without, step.target) for step in chain(without)
    ]


def test_dump_has_only_keys_that_are_set():
    assert parsed().input.model_dump().keys().isdisjoint(PICTURE_KEYS)
    dumped = parsed(resize=[32, 32], interpolation="nearest").input.model_dump(mode="json")
    assert (dumped["resize"], dumped["interpolation"]) == ([32, 32], "nearest")
    assert "crop" not in dumped
    assert InputSection.model_validate(dumped).resize == (32, 32)


@pytest.mark.parametrize(
    "keys", [{"crop": 32}, {"resize": 8, "crop": 32}, {"resize": [40, 50], "crop": [32, 32]}]
)
def test_keys_that_give_the_shape_are_accepted(keys):
    assert parsed(**keys)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"resize": 40}, "resize: 40 is the shorter side"),
        ({"resize": [32, 40]}, "resize makes pictures of [32, 40], but shape needs [32, 32]"),
        ({"resize": 40, "crop": 28}, "crop makes pictures of [28, 28], but shape needs [32, 32]"),
        ({"interpolation": "lanczos"}, "input.interpolation"),
        ({"resize": 0, "crop": 32}, "input.resize"),
        ({"resize": 8193, "crop": 32}, "input.resize"),
    ],
)
def test_other_keys_are_refused(keys, message):
    with pytest.raises(InputError) as caught:
        parsed(**keys)
    assert message in str(caught.value)
