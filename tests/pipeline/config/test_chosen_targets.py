"""A run's targets: CPUs are compiled for here, engines are built on their device."""

import pytest

from base.errors import InputError
from pipeline.chain import chain
from pipeline.config.chosen_targets import (
    check_targets,
    cpu_targets,
    names_by_target,
    remote_targets,
)
from pipeline.config.run_file import read_run_file
from pipeline.config.weight_range import half_range
from tests.support.quick_run import write_run


def config(folder, **changes):
    return read_run_file(write_run(folder, **changes))


def test_targets_are_split_into_local_and_remote_ones(tmp_path):
    names = ["local-cpu", "orin-nano", "arm", "local-gpu", "arm-dotprod@shelf", "thor@lab"]
    names += ["orin-nx-dla1", "orin-nx-dla0@lab"]
    chosen = config(tmp_path, targets=names)
    assert list(cpu_targets(chosen)) == ["local-cpu", "arm"]
    assert {name: place.pool for name, place in remote_targets(chosen).items()} == {
        "orin-nano": "orin-nano-8",
        "local-gpu": "local-gpu",
        "arm-dotprod@shelf": "shelf",
        "thor@lab": "lab",
        "orin-nx-dla1": "orin-nx-16",
        "orin-nx-dla0@lab": "lab",
    }
    cores = [place.dla_core for place in remote_targets(chosen).values()]
    assert cores == [None, None, None, None, 1, 0]
    labels = [step.label for step in chain(chosen)]
    assert labels[-4:] == ["compile local-cpu", "validate local-cpu", "compile arm", "validate arm"]


def test_targets_are_found_under_their_names_and_aliases(tmp_path):
    chosen = config(tmp_path, targets=["local-cpu", "orin-nano-8@lab", "orin-nx-dla1"])
    assert names_by_target(chosen) == {
        "local-cpu": ["local-cpu"],
        "orin-nano-8": ["orin-nano-8@lab"],
        "orin-nano": ["orin-nano-8@lab"],
        "orin-nx-16": ["orin-nx-dla1"],
        "orin-nx": ["orin-nx-dla1"],
    }


def test_run_without_a_cpu_target_is_judged_on_this_cpu(tmp_path):
    chosen = config(tmp_path, targets=["orin-nano"])
    assert list(cpu_targets(chosen)) == ["local-cpu"]
    assert chain(chosen)[-1].label == "validate local-cpu"


def test_only_cpu_targets_decide_the_weight_range(tmp_path):
    full = config(tmp_path, targets=["orin-nano", "x86-vnni"])
    half = config(tmp_path, targets=["orin-nano", "x86-avx2"])
    assert not half_range(full)
    assert half_range(half)


@pytest.mark.parametrize(
    ("targets", "opset", "message"),
    [
        (["orinano"], 17, "targets: unknown target 'orinano'; did you mean 'orin-nano'?"),
        (["arm@"], 17, "targets: 'arm@' has no valid pool; write arm@POOL"),
        (["arm@../../elsewhere"], 17, "'arm@../../elsewhere' has no valid pool; write arm@POOL"),
        (["orin-nx-dla2"], 17, "'orin-nx-dla2': orin-nx has 2 accelerators, from 0; write orin-nx"),
        (["orin-nano-dla0@lab"], 17, "orin-nano has no accelerator; write orin-nano"),
        (["arm-dla0"], 17, "arm has no accelerator; write arm"),
        (["nano"], 17, "17 is above 13, the highest that TensorRT reads on nano"),
    ],
)
def test_invalid_target_is_an_input_error(tmp_path, targets, opset, message):
    chosen = config(tmp_path, targets=targets, export={"opset": opset})
    with pytest.raises(InputError) as caught:
        check_targets(chosen)
    assert message in str(caught.value)


def test_oldest_devices_accept_opset_13(tmp_path):
    check_targets(config(tmp_path, targets=["nano", "tx2"], export={"opset": 13}))
    check_targets(config(tmp_path, targets=["xavier-nx", "orin-nano", "thor"]))
