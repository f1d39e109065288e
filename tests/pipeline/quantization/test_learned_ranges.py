"""Ranges are kept as logarithms while they are learnt, and as they were before and after."""

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
from pipeline.quantization.fake_quantizers import Scheme, prepare, quantizers
from pipeline.quantization.learned_ranges import RANGE_LEARNING_RATE, logarithmic_ranges
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


def learnt(network):
    return {n: quantizer for n, quantizer in quantizers(network) if quantizer.num_bits < 8}


def ranges(network):
    return {name: quantizer.scale.detach().clone() for name, quantizer in learnt(network).items()}


def test_the_network_means_the_same_before_meanwhile_and_after(prepared, images):
    before, answers = ranges(prepared), prepared(images)
    with logarithmic_ranges(prepared):
        torch.testing.assert_close(prepared(images), answers)
        torch.testing.assert_close(ranges(prepared), before)
        stored = {n: q._scale_param_storage.detach() for n, q in learnt(prepared).items()}
        torch.testing.assert_close(stored, {n: scale.log() for n, scale in before.items()})
    torch.testing.assert_close(prepared(images), answers)
    torch.testing.assert_close(ranges(prepared), before)


def test_every_range_is_named_and_nothing_else(prepared):
    with logarithmic_ranges(prepared) as rates:
        named = {id(dict(prepared.named_parameters())[name]) for name in rates}
    few = learnt(prepared).values()
    assert len(few) == 9  # Weights and inputs of five layers but for the images.
    assert named == {id(quantizer._scale_param_storage) for quantizer in few}
    assert set(rates.values()) == {RANGE_LEARNING_RATE}


@pytest.mark.parametrize("edge_bits", [None, 8])
def test_ranges_of_eight_bits_stay_as_they_are(images, edge_bits):
    torch.manual_seed(0)
    network = prepare(build("lenet5-half", SPEC, 10).eval(), images, Scheme(4, 4, edge_bits))
    eight = {id(q._scale_param_storage) for _, q in quantizers(network) if q.num_bits == 8}
    assert len(eight) == (4 if edge_bits else 1)  # Images, and two edges' weights and an input.
    with logarithmic_ranges(network) as rates:
        named = dict(network.named_parameters())
        assert not {id(named[name]) for name in rates} & eight
    whole = prepare(build("lenet5-half", SPEC, 10).eval(), images, Scheme())
    with logarithmic_ranges(whole) as rates:
        assert rates == {}


def test_one_step_of_adam_changes_every_range_by_the_same_share(prepared, images):
    before = ranges(prepared)
    with logarithmic_ranges(prepared) as rates:
        named = dict(prepared.named_parameters())
        optimizer = torch.optim.Adam([named[name] for name in rates], RANGE_LEARNING_RATE)
        prepared(images).square().mean().backward()
        moved = {n: q._scale_param_storage.grad.abs() > 1e-6 for n, q in learnt(prepared).items()}
        optimizer.step()
    assert sum(int(mask.sum()) for mask in moved.values()) > len(moved)
    for name, scale in ranges(prepared).items():
        share = (scale / before[name]).log().abs()[moved[name]]
        torch.testing.assert_close(share, torch.full_like(share, 0.01), rtol=1e-2, atol=0)


def test_the_gradient_of_a_logarithm_is_that_of_the_range_times_the_range(prepared, images):
    for _, quantizer in quantizers(prepared):
        # The largest weight lies on the end of its range, where one rounding decides the gradient.
        quantizer._scale_param_storage.data.mul_(0.9)
    prepared(images).square().mean().backward()
    plain = {n: q._scale_param_storage.grad.clone() for n, q in learnt(prepared).items()}
    prepared.zero_grad()
    with logarithmic_ranges(prepared):
        prepared(images).square().mean().backward()
        for name, quantizer in learnt(prepared).items():
            expected = plain[name] * quantizer.scale.detach()
            torch.testing.assert_close(quantizer._scale_param_storage.grad, expected)


def test_a_failure_meanwhile_leaves_ranges_and_not_logarithms(prepared):
    before = ranges(prepared)
    with pytest.raises(KeyboardInterrupt), logarithmic_ranges(prepared):
        raise KeyboardInterrupt
    torch.testing.assert_close(ranges(prepared), before)


@given(scale=st.floats(1e-6, 1e6))
def test_a_range_of_any_size_comes_back(network, scale):
    prepared = copy.deepcopy(network)
    quantizer = next(iter(learnt(prepared).values()))
    quantizer._scale_param_storage.data.fill_(scale)
    with logarithmic_ranges(prepared):
        pass
    torch.testing.assert_close(
        quantizer.scale, torch.full_like(quantizer.scale, scale), rtol=1e-5, atol=0
    )


def test_weights_that_are_all_zero_leave_gradients_that_are_numbers(images):
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


def test_gap_nncf_still_calibrates_no_logarithms():
    """When this fails, NNCF can be asked for them: drop the switch in `logarithmic`."""
    for asked in (AdvancedQuantizationParameters, QuantizationParameters):
        assert not any("log" in name for name in asked.__dataclass_fields__)


def test_a_run_resumes_among_logarithms_as_if_it_had_not_stopped(network):
    def fresh():
        student = copy.deepcopy(network)
        return student, logarithmic_ranges(student)

    def loop(student, rates):
        return make_loop(
            plan=Plan(1, 4), teacher=mnist_teacher(), student=student, rates=rates, spec=SPEC
        )

    whole, kept = fresh()
    states = []
    with kept as rates:
        run = loop(whole, rates)
        run.run(lambda _: states.append(through_a_file(run.state_dict())))
    again, kept = fresh()
    with kept as rates:
        run = loop(again, rates)
        run.load_state_dict(states[2])
        run.run()
    assert torch.equal(weights(again), weights(whole))
    moved = [
        (a / b).log().abs().max()
        for a, b in zip(ranges(whole).values(), ranges(network).values(), strict=True)
    ]
    assert 0.02 < max(moved) < 0.2
