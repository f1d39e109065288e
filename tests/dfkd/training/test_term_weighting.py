import copy
import math

import pytest
import torch
from torch import nn

from dfkd.composition import Adam, Bounded, ExpIncrement, Log1p, Term
from dfkd.models.forward_pass import ForwardPass, LayerStatistics
from dfkd.recipe import Recipe, RecipeError
from dfkd.terms.inputs import TermInputs
from dfkd.terms.stateful import StatefulTerm
from dfkd.terms.wrappers import wrapped
from dfkd.training.term_weighting import (
    Weighting,
    WrappedTerm,
    gradient_shares,
    usable_terms,
)

TEACHER = nn.Sequential(nn.BatchNorm2d(2), nn.Conv2d(2, 1, 1), nn.BatchNorm2d(1))


def slope(value, wrapper, reference=0.0):
    value = torch.tensor(value, dtype=torch.double, requires_grad=True)
    result = wrapped(value, wrapper, reference)
    result.backward()
    return result.item(), value.grad.item()


@pytest.mark.parametrize("value", [-3.0, 0.0, 2.5])
def test_no_wrapper_returns_the_value(value):
    assert slope(value, None) == (value, 1.0)


@pytest.mark.parametrize(("value", "reference"), [(0.5, 0.0), (-2.0, 0.0), (1.0, 3.0), (3.0, 1.0)])
def test_exp_increment_value_and_gradient_are_the_exponential(value, reference):
    expected = math.exp(value - reference)
    result, gradient = slope(value, ExpIncrement(), reference)
    assert result == pytest.approx(expected)
    assert gradient == pytest.approx(expected)


@pytest.mark.parametrize(("value", "limit"), [(1000.0, 10.0), (-1000.0, -10.0)])
def test_exp_increment_beyond_its_bound_is_linear(value, limit):
    result, gradient = slope(value, ExpIncrement())
    assert math.isfinite(result)
    assert gradient == pytest.approx(math.exp(limit))
    # The tangent at the bound.
    assert result == pytest.approx(math.exp(limit) * (1 + value - limit))


@pytest.mark.parametrize("limit", [10.0, -10.0])
def test_exp_increment_is_continuous_at_its_bound(limit):
    below, at, above = (slope(limit + distance, ExpIncrement()) for distance in (-1e-7, 0.0, 1e-7))
    assert below[0] == pytest.approx(at[0], rel=1e-6) == pytest.approx(above[0], rel=1e-6)
    assert below[1] == pytest.approx(above[1], rel=1e-6)
    assert at[1] == pytest.approx(above[1], rel=1e-6)


@pytest.mark.parametrize(
    ("value", "expected", "gradient"), [(-0.5, -0.5, 1.0), (-7.0, -2.0, 0.0), (3.0, 3.0, 1.0)]
)
def test_bounded_has_no_gradient_below_its_bound(value, expected, gradient):
    assert slope(value, Bounded(bound=2.0)) == (expected, gradient)


@pytest.mark.parametrize("value", [0.0, -0.5, -20.0])
def test_log1p_value_and_gradient(value):
    result, gradient = slope(value, Log1p())
    assert result == pytest.approx(-math.log(1 + abs(value)))
    assert gradient == pytest.approx(1 / (1 + abs(value)))


class Scripted(StatefulTerm):
    """A term that returns given values in order, each with a gradient to `leaf`."""

    def __init__(self, *values):
        self.values = list(values)
        self.leaf = torch.zeros((), dtype=torch.double, requires_grad=True)

    def __call__(self, **inputs):
        return self.leaf + self.values.pop(0)


NOTHING = TermInputs(torch.zeros(1, 1, 1, 1), ForwardPass(torch.zeros(1, 2)))


def scripted(*values, weight=1.0, stretch=1.0, wrapper=None):
    compute = Scripted(*values)
    return WrappedTerm(Term("certainty", weight, wrapper=wrapper), compute, stretch)


def test_weight_is_applied_after_the_wrapper():
    raw, share = scripted(-5.0, weight=3.0, wrapper=Bounded(2.0))(NOTHING)
    assert raw.item() == -5.0
    assert share.item() == -6.0


@pytest.mark.parametrize("refresh", [1, 2, 3])
def test_reference_is_refreshed_at_its_interval_without_a_gradient(refresh):
    values = [1.0, 2.0, 0.5, 3.0, 2.5, 1.5, 4.0]
    term = scripted(*values, weight=2.0, wrapper=ExpIncrement(refresh))
    reference = 0.0
    for number, value in enumerate(values, start=1):
        raw, share = term(NOTHING)
        expected = 2.0 * math.exp(value - reference)
        assert raw.item() == value
        assert share.item() == pytest.approx(expected)
        # The reference must be a constant, or the increase and its gradient would cancel.
        (gradient,) = torch.autograd.grad(share, term.compute.leaf)
        assert gradient.item() == pytest.approx(expected)
        if number % refresh == 0:
            reference = value


@pytest.mark.parametrize(("stretch", "refresh"), [(0.5, 60), (2.0, 240), (1e-6, 1)])
def test_refresh_interval_is_scaled_with_the_run(stretch, refresh):
    term = scripted(*[1.0] * 500, stretch=stretch, wrapper=ExpIncrement(120))
    assert term.refresh == refresh
    first = [term(NOTHING)[1].item() for _ in range(refresh + 1)]
    assert first[:refresh] == pytest.approx([math.e] * refresh)
    assert first[refresh] == pytest.approx(1.0)


def test_wrapped_term_continues_from_its_state():
    values = [1.0, 2.0, 0.5, 3.0, 2.5]
    first = scripted(*values, wrapper=ExpIncrement(2))
    for _ in range(3):
        first(NOTHING)
    second = scripted(*values[3:], wrapper=ExpIncrement(2))
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    for _ in values[3:]:
        assert second(NOTHING)[1] == first(NOTHING)[1]


def make_inputs(seed=0):
    rng = torch.Generator().manual_seed(seed)
    rows = torch.randn(4, 3, generator=rng)
    layers = [
        LayerStatistics(part, torch.ones_like(part), torch.zeros(size), torch.ones(size))
        for part, size in ((rows[:, :2], 2), (rows[:, 2:], 1))
    ]
    logits, student = (torch.randn(4, 5, generator=rng) for _ in range(2))
    return TermInputs(torch.zeros(4, 2, 1, 1), ForwardPass(logits, layers), student)


TERMS = (
    Term("certainty", 1.0, wrapper=ExpIncrement(refresh=2)),
    Term("class-balance", 5.0, options={"base": 10.0}),
    Term("adversary", 0.5),
    Term("batch-norm-average", 10.0, options={"momentum": 0.5}),
    Term("contrast", 0.8, options={"width": 4}),
)


def test_terms_that_need_the_student_are_inactive_without_one():
    weighting = Weighting(TERMS, TEACHER)
    alone = [w.term.name for w in weighting.active(student=False)]
    assert alone == ["certainty", "class-balance", "batch-norm-average", "contrast"]
    assert [w.term.name for w in weighting.active(student=True)] == [t.name for t in TERMS]


def test_inputs_are_those_of_all_terms():
    needed = {"teacher_logits", "student_logits", "statistics"}
    assert Weighting(TERMS, TEACHER).inputs() == needed
    assert Weighting(TERMS[:2], TEACHER).inputs() == {"teacher_logits"}


def test_options_reach_the_terms():
    weighting = Weighting(TERMS, TEACHER)
    uniform = TermInputs(torch.zeros(2, 1, 1, 1), ForwardPass(torch.zeros(2, 100)))
    raw, share = weighting.wrapped[1](uniform)
    assert raw.item() == pytest.approx(-2.0)
    assert share.item() == pytest.approx(-10.0)


def test_parameters_inside_terms_take_a_step():
    weighting = Weighting(TERMS, TEACHER)
    parameters = weighting.parameters()
    assert sum(p.numel() for p in parameters) == (3 * 4 + 4) + (4 * 4 + 4)
    before = [p.detach().clone() for p in parameters]
    sum(w(make_inputs())[1] for w in weighting.wrapped).backward(inputs=parameters)
    weighting.step()
    assert any(not torch.equal(old, new) for old, new in zip(before, parameters, strict=True))


def one_batch(weighting, seed):
    loss = sum(w(make_inputs(seed))[1] for w in weighting.wrapped)
    for parameter in weighting.parameters():
        parameter.grad = None
    loss.backward(inputs=weighting.parameters())
    weighting.step()
    weighting.end_batch()
    return loss.item()


def test_end_batch_reaches_every_term():
    weighting = Weighting(TERMS, TEACHER)
    average, contrast = (w.compute for w in weighting.wrapped[3:])
    for seed in range(3):
        one_batch(weighting, seed)
        assert average.count == seed + 1
        assert len(contrast.state_dict()["bank"]) == 2 * (seed + 1)


def test_weighting_continues_from_its_state():
    torch.manual_seed(0)
    first = Weighting(TERMS, TEACHER)
    for seed in range(3):
        one_batch(first, seed)
    state = copy.deepcopy(first.state_dict())
    torch.manual_seed(1)
    second = Weighting(TERMS, TEACHER)
    second.load_state_dict(state)
    for seed in range(3, 6):
        assert one_batch(second, seed) == pytest.approx(one_batch(first, seed), rel=1e-6)


def test_state_of_other_terms_is_refused():
    with pytest.raises(ValueError, match="zip"):
        Weighting(TERMS, TEACHER).load_state_dict(Weighting(TERMS[:2], TEACHER).state_dict())


def recipe(*terms):
    return Recipe("given", "none", terms=terms, generator=Adam(1e-3))


def test_teacher_without_batch_norm_drops_optional_terms_only():
    plain = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    optional = Term("batch-norm", 1.0, where_possible=True)
    required = Term("certainty", 1.0)
    assert usable_terms(recipe(required, optional), plain) == (required,)
    assert usable_terms(recipe(required, optional), TEACHER) == (required, optional)
    with pytest.raises(RecipeError, match="batch-norm-kl"):
        usable_terms(recipe(required, Term("batch-norm-kl", 1.0)), plain)


def test_gradient_shares_of_two_simple_terms_by_hand():
    images = torch.ones(1, 1, 2, 2, requires_grad=True)
    # The gradient of "sum" is 3 in four pixels, norm 6; that of "corner" is 2 in one pixel.
    parts = {"sum": 3 * images.sum(), "corner": 2 * images[0, 0, 0, 0]}
    shares = gradient_shares(parts, images)
    assert shares == pytest.approx({"sum": 0.75, "corner": 0.25})
    assert sum(shares.values()) == pytest.approx(1.0)


def test_gradient_shares_do_not_change_graph_or_gradients():
    weight = torch.ones(3, requires_grad=True)
    images = weight * 2
    parts = {"first": images.square().sum(), "second": images.sum()}
    shares = gradient_shares(parts, images)
    assert sum(shares.values()) == pytest.approx(1.0)
    assert weight.grad is None
    sum(parts.values()).backward()
    torch.testing.assert_close(weight.grad, torch.full((3,), 2 * (4.0 + 1.0)))


def test_gradient_shares_without_a_gradient_are_zero():
    images, other = (torch.ones(2, requires_grad=True) for _ in range(2))
    parts = {"elsewhere": other.sum(), "here": images.sum()}
    assert gradient_shares(parts, images) == {"elsewhere": 0.0, "here": 1.0}
    assert gradient_shares({"flat": 0.0 * images.sum()}, images) == {"flat": 0.0}
