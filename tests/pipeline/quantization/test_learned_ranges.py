"""Ranges are stored as logarithms while they are learned, and restored afterwards."""

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from nncf.quantization.advanced_parameters import (
    AdvancedQuantizationParameters,
    QuantizationParameters,
)

from dfkd.images import ImageSpec
from dfkd.models import build
from dfkd.training.budget import Plan
from pipeline.quantization.fake_quantizers import prepare, quantizers
from pipeline.quantization.learned_ranges import RANGE_LEARNING_RATE, logarithmic_ranges
from pipeline.quantization.scheme import Scheme
from tests.support.tiny import make_loop, mnist_teacher, through_a_file, weights

SPEC = ImageSpec((1, 32, 32), (0.1307,), (0.3081,))


@pytest.fixture(scope="module")
def images():
    return torch.randn(16, 1, 32, 32, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def network(images):
    torch.manual_seed(0)
    return prepare(build("lenet5-half", SPEC, 10).eval(), images, Scheme(4, 4))


@pytest.fixture
def prepared(network):
    return copy.deepcopy(network)


def learned(network):
    return {n: quantizer for n, quantizer in quantizers(network) if quantizer.num_bits < 8}


def ranges(network):
    return {name: quantizer.scale.detach().clone() for name, quantizer in learned(network).items()}


def test_logits_and_ranges_are_equal_inside_and_after_context(prepared, images):
    before, logits = ranges(prepared), prepared(images)
    with logarithmic_ranges(prepared):
        torch.testing.assert_close(prepared(images), logits)
        torch.testing.assert_close(ranges(prepared), before)
        stored = {n: q._scale_param_storage.detach() for n, q in learned(prepared).items()}
        torch.testing.assert_close(stored, {n: scale.log() for n, scale in before.items()})
    torch.testing.assert_close(prepared(images), logits)
    torch.testing.assert_close(ranges(prepared), before)


def test_context_yields_exactly_the_learned_ranges(prepared):
    with logarithmic_ranges(prepared) as rates:
        named = {id(dict(prepared.named_parameters())[name]) for name in rates}
    few = learned(prepared).values()
    assert len(few) == 9  # Weights and inputs of five layers, without the images.
    assert named == {id(quantizer._scale_param_storage) for quantizer in few}
    assert set(rates.values()) == {RANGE_LEARNING_RATE}


@pytest.mark.parametrize("edge_bits", [None, 8])
def test_ranges_of_eight_bits_are_not_learned(images, edge_bits):
    torch.manual_seed(0)
    network = prepare(build("lenet5-half", SPEC, 10).eval(), images, Scheme(4, 4, edge_bits))
    eight = {id(q._scale_param_storage) for _, q in quantizers(network) if q.num_bits == 8}
    assert len(eight) == (
        4 if edge_bits else 1
    )  # Images; weights and one more input of the two edges.
    with logarithmic_ranges(network) as rates:
        named = dict(network.named_parameters())
        assert not {id(named[name]) for name in rates} & eight
    eight_bits = prepare(build("lenet5-half", SPEC, 10).eval(), images, Scheme())
    with logarithmic_ranges(eight_bits) as rates:
        assert rates == {}


def test_one_adam_step_changes_every_range_by_the_same_factor(prepared, images):
    before = ranges(prepared)
    with logarithmic_ranges(prepared) as rates:
        named = dict(prepared.named_parameters())
        optimizer = torch.optim.Adam([named[name] for name in rates], RANGE_LEARNING_RATE)
        prepared(images).square().mean().backward()
        moved = {n: q._scale_param_storage.grad.abs() > 1e-6 for n, q in learned(prepared).items()}
        optimizer.step()
    assert sum(int(mask.sum()) for mask in moved.values()) > len(moved)
    for name, scale in ranges(prepared).items():
        change = (scale / before[name]).log().abs()[moved[name]]
        torch.testing.assert_close(change, torch.full_like(change, 0.01), rtol=1e-2, atol=0)


def test_gradient_of_logarithm_is_gradient_of_range_times_range(prepared, images):
    for _, quantizer in quantizers(prepared):
        # At the end of a range, where the largest weight is, rounding decides the gradient.
        quantizer._scale_param_storage.data.mul_(0.9)
    prepared(images).square().mean().backward()
    plain = {n: q._scale_param_storage.grad.clone() for n, q in learned(prepared).items()}
    prepared.zero_grad()
    with logarithmic_ranges(prepared):
        prepared(images).square().mean().backward()
        for name, quantizer in learned(prepared).items():
            expected = plain[name] * quantizer.scale.detach()
            torch.testing.assert_close(quantizer._scale_param_storage.grad, expected)


def test_exception_inside_context_restores_ranges(prepared):
    before = ranges(prepared)
    with pytest.raises(KeyboardInterrupt), logarithmic_ranges(prepared):
        raise KeyboardInterrupt
    torch.testing.assert_close(ranges(prepared), before)


@given(scale=st.floats(1e-6, 1e6))
def test_range_of_any_size_is_restored(network, scale):
    prepared = copy.deepcopy(network)
    quantizer = next(iter(learned(prepared).values()))
    quantizer._scale_param_storage.data.fill_(scale)
    with logarithmic_ranges(prepared):
        pass
    torch.testing.assert_close(
        quantizer.scale, torch.full_like(quantizer.scale, scale), rtol=1e-5, atol=0
    )


def test_zero_weights_give_finite_gradients(images):
    torch.manual_seed(0)
    built = build("lenet5-half", SPEC, 10).eval()
    with torch.no_grad():
        built.convnet.c1.weight[0] = 0
    prepared = prepare(built, images, Scheme(4, 4))
    with logarithmic_ranges(prepared) as rates:
        prepared(images).square().mean().backward()
        named = dict(prepared.named_parameters())
        assert all(named[name].grad.isfinite().all() for name in rates)
        assert all(named[name].isfinite().all() for name in rates)


def test_gap_nncf_cannot_calibrate_logarithmic_ranges():
    """If this fails, NNCF has an option for it: delete `_store` in learned_ranges."""
    for parameters in (AdvancedQuantizationParameters, QuantizationParameters):
        assert not any("log" in name for name in parameters.__dataclass_fields__)


def test_resumed_training_with_logarithmic_ranges_equals_uninterrupted_one(network):
    def copy_with_context():
        student = copy.deepcopy(network)
        return student, logarithmic_ranges(student)

    def loop(student, rates):
        return make_loop(
            plan=Plan(1, 4), teacher=mnist_teacher(), student=student, rates=rates, spec=SPEC
        )

    uninterrupted, context = copy_with_context()
    states = []
    with context as rates:
        run = loop(uninterrupted, rates)
        run.run(lambda _: states.append(through_a_file(run.state_dict())))
    resumed, context = copy_with_context()
    with context as rates:
        run = loop(resumed, rates)
        run.load_state_dict(states[2])
        run.run()
    assert torch.equal(weights(resumed), weights(uninterrupted))
    moved = [
        (a / b).log().abs().max()
        for a, b in zip(ranges(uninterrupted).values(), ranges(network).values(), strict=True)
    ]
    assert 0.02 < max(moved) < 0.2
