"""int8 and float16 with a stand-in for trtexec and a real bundle: timed, judged, recommended."""

import json

import numpy as np
import pytest

from targets.golden import load_golden
from targets.tensorrt.build import Engine
from targets.tensorrt.failures import BuildError
from targets.tensorrt.fingerprint import Fingerprint
from targets.tensorrt.layers import Layer
from targets.tensorrt.plan import Options
from targets.tensorrt.trtexec import find_trtexec
from targets.tensorrt.twins import Bench, Checked, advise, compile_twins
from targets.verdict import judge
from tests.targets.standing_in import DEVICE, install_stand_in
from tests.targets.test_verdict import golden


@pytest.fixture
def bench(monkeypatch, tmp_path, same_bundle):
    """A bench over a real bundle, with the stand-in of a version."""

    def _bench(version="8.5", said=print, **environment):
        install_stand_in(monkeypatch, tmp_path, version)
        for name, value in environment.items():
            monkeypatch.setenv(f"STANDIN_{name.upper()}", str(value))
        folder = tmp_path / "engines"
        folder.mkdir(exist_ok=True)
        probes = load_golden(same_bundle / "golden.npz")
        trtexec = find_trtexec()
        graphs = same_bundle / "graphs"
        return Bench(trtexec, trtexec, DEVICE, graphs, folder, probes, 0.9, 0.95, said)

    return _bench


@pytest.mark.parametrize("version", ["8.2", "10.3", "11.1"])
def test_both_are_built_judged_on_all_probes_and_the_faster_recommended(bench, version):
    checked, advice = compile_twins(bench(version, int8_ms=1, fp16_ms=2), 1, 256, with_int8=True)
    assert list(checked) == ["int8", "fp16"]
    for each in checked.values():
        assert each.verdict.images == 2000
        assert each.same_answer >= 0.99
    assert checked["int8"].milliseconds == pytest.approx(1, abs=0.02)
    assert (advice.precision, advice.because) == (
        "int8",
        "2.00 times as fast as float16, and it passed",
    )


def test_an_int8_engine_that_gains_nothing_names_what_holds_it_back(bench):
    made = bench(int8_ms=2, fp16_ms=1, reformats=3)
    checked, advice = compile_twins(made, 1, 256, with_int8=True)
    assert advice.precision == "fp16"
    assert "int8 is 0.50 times as fast" in advice.because
    assert "3 reformats between" in advice.because
    assert checked["int8"].passed


def test_a_device_without_int8_gets_float16_alone(bench):
    checked, advice = compile_twins(bench(), 1, 256, with_int8=False)
    assert list(checked) == ["fp16"]
    assert (advice.precision, advice.because) == ("fp16", "this device has no int8")


def test_an_engine_with_other_answers_is_not_recommended(bench):
    checked, advice = compile_twins(bench(answers="wrong"), 1, 256, with_int8=True)
    assert advice.precision is None
    assert not any(each.passed for each in checked.values())
    assert checked["int8"].same_answer < 0.5


def test_unreadable_times_are_a_named_failure(bench):
    with pytest.raises(BuildError, match=r"times.json that cannot be read") as caught:
        compile_twins(bench(fails="garbage"), 1, 256, with_int8=True)
    assert caught.value.failure.again


def test_the_second_time_nothing_is_built(bench):
    compile_twins(bench(), 1, 256, with_int8=True)
    lines = []
    checked, _ = compile_twins(bench(said=lines.append), 1, 256, with_int8=True)
    assert all(each.engine.reused for each in checked.values())
    assert sum("nothing changed" in line for line in lines) == 2


def entry(precision, milliseconds, agreement=1.0, same_high=1.0, table=()):
    """A checked engine whose figures are given."""
    probes = golden()
    logits = probes.teacher_logits.copy()
    wrong = round((1 - agreement) * len(logits))
    logits[:wrong] = np.roll(logits[:wrong], 1, 1)
    engine = Engine(
        None, Fingerprint(*"abcdefgh"), Options(precision, "weak"), (1,), list(table), False
    )
    return Checked(
        engine, milliseconds, same_high, same_high, same_high, judge(probes, logits, 0.9, 0.95)
    )


@pytest.mark.parametrize(
    ("int8", "fp16", "precision", "because"),
    [
        ({}, {"milliseconds": 1.2}, "int8", "1.20 times as fast"),
        ({}, {"milliseconds": 1.04}, "fp16", "int8 is 1.04 times as fast"),
        ({"agreement": 0.5}, {}, "fp16", "int8 did not pass"),
        ({"same_high": 0.9}, {}, "fp16", "int8 did not pass"),
        ({}, {"agreement": 0.5}, "int8", "float16 did not pass"),
        ({"agreement": 0.5}, {"agreement": 0.5}, None, "no engine passed"),
    ],
)
def test_the_faster_one_that_passed_is_recommended(int8, fp16, precision, because):
    checked = {
        "int8": entry("int8", **{"milliseconds": 1.0, **int8}),
        "fp16": entry("fp16", **{"milliseconds": 1.0, **fp16}),
    }
    advice = advise(checked)
    assert advice.precision == precision
    assert because in advice.because


def test_layers_left_in_float_are_named():
    table = [Layer("conv1", "Convolution", "", "fp16", "fp16")]
    checked = {"int8": entry("int8", 1.0, table=table), "fp16": entry("fp16", 1.0)}
    assert "1 layers stayed in float (conv1)" in advise(checked).because


def test_the_sidecar_holds_the_layers(bench, tmp_path):
    compile_twins(bench(), 1, 256, with_int8=True)
    sidecar = json.loads((tmp_path / "engines" / "student.int8.json").read_text())
    assert "int8" in {layer["takes"] for layer in sidecar["layers"]}
