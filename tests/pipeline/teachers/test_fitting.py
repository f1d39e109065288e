"""Fitting the names and types of a state dict to those of a network."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from base.errors import InputError
from pipeline.config.network_sections import TeacherSection
from pipeline.teachers.fitting import fit_weights

SECTION = TeacherSection(weights="t.pt", architecture="net:make", classes=10)


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 10))


STATE = network().state_dict()


def fitted(state, expected=STATE, section=SECTION):
    return fit_weights(state, expected, section)


def refusal(state, **arguments):
    with pytest.raises(InputError) as caught:
        fitted(state, **arguments)
    assert str(caught.value).isprintable()
    return str(caught.value)


def prefixed(prefix, state=STATE):
    return {prefix + name: tensor for name, tensor in state.items()}


def test_weights_that_fit_are_unchanged():
    found = fitted(STATE)
    torch.testing.assert_close(found.state, dict(STATE))
    assert found.notes == ()


@given(st.lists(st.sampled_from(["model", "module", "net", "0", "x"]), min_size=1, max_size=3))
def test_any_prefix_is_removed_and_said(parts):
    prefix = ".".join(parts) + "."
    found = fitted(prefixed(prefix))
    assert found.state.keys() == STATE.keys()
    assert found.notes == (f"removed the prefix {prefix} from the names of the weights",)


@pytest.mark.parametrize(
    "rename",
    [
        lambda name: f"_orig_mod.{name}",
        lambda name: f"module._orig_mod.{name}",
        lambda name: f"_orig_mod.module.{name}",
        lambda name: name.replace(".", "._orig_mod.", 1),
        lambda name: f"_fsdp_wrapped_module.{name}",
    ],
)
def test_parts_that_wrappers_add_are_removed(rename):
    found = fitted({rename(name): tensor for name, tensor in STATE.items()})
    torch.testing.assert_close(found.state, dict(STATE))


def test_entries_outside_the_prefix_are_ignored_and_said():
    found = fitted({**prefixed("model."), "criterion.weight": torch.ones(10)})
    assert found.state.keys() == STATE.keys()
    assert found.notes[1] == "ignored the entries without the prefix: criterion.weight"


def test_extra_entries_inside_are_refused():
    extra = {"9.weight": torch.ones(3, 3)}
    for state in ({**STATE, **extra}, {**prefixed("model."), **prefixed("model.", extra)}):
        assert "1 unexpected (9.weight, ...)" in refusal(state)
    # Without a prefix nothing tells a loss from a layer.
    assert "1 unexpected (loss.weight, ...)" in refusal({**STATE, "loss.weight": torch.ones(10)})


def test_buffers_of_a_profiler_are_ignored_and_said():
    names = ["total_ops", "total_params", "0.total_ops", "0.total_params"]
    found = fitted({**STATE, **{name: torch.zeros(1, dtype=torch.float64) for name in names}})
    assert found.state.keys() == STATE.keys()
    assert found.notes == (
        "ignored the buffers of a profiler: total_ops, total_params, 0.total_ops, ... (4 in all)",
    )


@pytest.mark.parametrize(
    ("key", "advice"), [(None, "weights_key: student"), ("model", "weights_key: model.student")]
)
def test_several_prefixes_that_fit_are_refused(key, advice):
    section = SECTION.model_copy(update={"weights_key": key})
    line = refusal({**prefixed("ema."), **prefixed("student.")}, section=section)
    assert "2 times, with the prefixes ema, student" in line
    assert advice in line


def test_shapes_decide_between_prefixes():
    narrow = nn.Sequential(nn.Conv2d(3, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(2, 10))
    both = {**prefixed("student.", narrow.state_dict()), **prefixed("teacher.")}
    torch.testing.assert_close(fitted(both).state, dict(STATE))


def test_missing_weights_are_counted_in_the_names_of_the_network():
    state = prefixed("model.")
    del state["model.3.bias"], state["model.1.num_batches_tracked"]
    assert "net:make with 10 classes: 1 missing (3.bias, ...); correct" in refusal(state)


def test_counters_of_batch_norms_may_be_missing():
    state = {name: tensor for name, tensor in STATE.items() if "num_batches" not in name}
    assert fitted(state).notes == ()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_short_floats_are_said(dtype):
    found = fitted({k: v.to(dtype) if v.is_floating_point() else v for k, v in STATE.items()})
    assert found.notes == (f"converted 8 tensors from {str(dtype)[6:]} to float32",)
    loaded = network()
    loaded.load_state_dict(found.state)
    assert loaded[0].weight.dtype == torch.float32


UNUSABLE = {
    "int8": lambda t: t.to(torch.int8),
    "bool": lambda t: t > 0,
    "complex64": lambda t: t.to(torch.complex64),
    "float8_e4m3fn": lambda t: t.to(torch.float8_e4m3fn),
    "quantized (qint8)": lambda t: torch.quantize_per_tensor(t, 0.01, 0, torch.qint8),
    "a sparse or nested tensor": lambda t: t.to_sparse(),
    "a meta tensor without values": lambda t: t.to("meta"),
}


@pytest.mark.parametrize("kind", UNUSABLE)
def test_tensor_that_is_no_weight_is_refused_by_its_name(kind):
    state = {**STATE, "3.weight": UNUSABLE[kind](STATE["3.weight"])}
    assert f"t.pt: 3.weight is {kind}, but net:make needs float32; save" in refusal(state)


def test_fractions_are_refused_for_whole_numbers_except_counters():
    expected = {**STATE, "index": torch.zeros(4, dtype=torch.int64)}
    averaged = {**expected, "1.num_batches_tracked": torch.tensor(2.5)}
    assert fitted(averaged, expected).notes == ()
    line = refusal({**expected, "index": torch.zeros(4)}, expected=expected)
    assert "index is float32, but net:make needs int64" in line
