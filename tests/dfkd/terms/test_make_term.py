import inspect

import pytest
import torch
from torch import nn

from dfkd.models.forward_pass import ForwardPass
from dfkd.references import load
from dfkd.terms import ADVERSARIES, LABELLED, TERMS
from dfkd.terms.inputs import TermInputs
from dfkd.terms.make import make_term, term_value
from dfkd.terms.stateful import StatefulTerm

TEACHER = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2))


@pytest.mark.parametrize("name", TERMS)
def test_table_lists_the_inputs_of_the_function_first(name):
    function = load(TERMS[name].function)
    stateful = isinstance(function, type) and issubclass(function, StatefulTerm)
    assert stateful == TERMS[name].stateful
    called = function.__call__ if stateful else function
    parameters = inspect.signature(called).parameters
    required = [n for n, p in parameters.items() if p.default is p.empty and n != "self"]
    assert required == list(TERMS[name].inputs)


@pytest.mark.parametrize("name", TERMS)
def test_terms_of_the_table_are_made(name):
    assert isinstance(make_term(name, TEACHER), StatefulTerm)


def test_adversaries_and_labelled_terms_are_those_that_need_them():
    named = {n for n in TERMS if n.startswith("adversary")}
    assert named | {"difficulty-margin", "disagreement-label", "agreement-label"} == ADVERSARIES
    asked = {"label-certainty", "disagreement-label", "agreement-label"}
    assert {"metric", "mode-seeking", *asked} == LABELLED


@pytest.mark.parametrize("name", TERMS)
def test_terms_that_need_batch_norm_are_those_that_read_its_statistics(name):
    by_name = name.startswith("batch-norm") or name == "contrast"
    assert TERMS[name].needs_batch_norm == by_name


def test_options_reach_the_term():
    term = make_term("class-balance", TEACHER, base=10.0)
    assert term(teacher_logits=torch.zeros(2, 100)).item() == pytest.approx(-2.0)
    assert make_term("batch-norm-average", TEACHER, momentum=0.5).momentum == 0.5


def test_stateful_terms_do_not_share_their_state():
    first, second = (make_term("contrast", TEACHER, width=3) for _ in range(2))
    assert first.head is not second.head


@pytest.mark.parametrize("name", ["certainty", "class-balance", "contrast", "batch-norm-average"])
def test_make_term_refuses_an_unknown_option(name):
    with pytest.raises(TypeError):
        make_term(name, TEACHER, nonsense=1.0)


def test_term_value_names_a_missing_input():
    inputs = TermInputs(torch.zeros(1, 1, 2, 2), ForwardPass(torch.zeros(1, 3)))
    with pytest.raises(ValueError, match="term label-certainty needs labels"):
        term_value("label-certainty", make_term("label-certainty", TEACHER), inputs)
