"""int8 and float16 with a stand-in for trtexec and a real bundle: timed, judged, recommended."""

import dataclasses
import json

import numpy as np
import pytest

from targets.bundle.golden import load_golden
from targets.bundle.verdict import judge, wilson
from targets.tensorrt import engine_pair as twins
from targets.tensorrt.builders.trtexec import find_trtexec
from targets.tensorrt.diagnosis.failures import BuildError
from targets.tensorrt.engine import Engine
from targets.tensorrt.engine_pair import BuildContext, compile_engine_pair
from targets.tensorrt.fingerprint import Fingerprint
from targets.tensorrt.layers import Layer
from targets.tensorrt.options import Options
from targets.tensorrt.recommendation import CheckedEngine, recommend
from targets.tensorrt.throttling import Throttling
from tests.support.trtexec.install import DEVICE, install_trtexec_stand_in
from tests.targets.bundle.test_verdict import golden


@pytest.fixture
def bench(monkeypatch, tmp_path, same_bundle):
    """A bench over a real bundle, with the stand-in of a version."""

    def _bench(version="8.5", said=print, **environment):
        install_trtexec_stand_in(monkeypatch, tmp_path, version)
        for name, value in environment.items():
            monkeypatch.setenv(f"STANDIN_{name.upper()}", str(value))
        folder = tmp_path / "engines"
        folder.mkdir(exist_ok=True)
        probes = load_golden(same_bundle / "golden.npz")
        trtexec = find_trtexec()
        graphs = same_bundle / "graphs"
        return BuildContext(trtexec, trtexec, DEVICE, graphs, folder, probes, 0.9, 0.95, said)

    return _bench


@pytest.mark.parametrize("version", ["8.2", "10.3", "11.1"])
def test_both_are_built_judged_on_all_probes_and_the_faster_recommended(bench, version):
    checked, advice = compile_engine_pair(
        bench(version, int8_ms=1, fp16_ms=2), 1, 256, with_int8=True
    )
    assert list(checked) == ["int8", "fp16"]
    for each in checked.values():
        assert each.verdict.images == 2000
        assert each.same_answer >= 0.99
        assert each.matches_graph
    assert checked["int8"].milliseconds == pytest.approx(1, abs=0.02)
    assert (advice.precision, advice.because) == (
        "int8",
        "2.00 times as fast as float16, and it passed",
    )


def test_an_int8_engine_that_gains_nothing_names_what_holds_it_back(bench):
    made = bench(int8_ms=2, fp16_ms=1, reformats=3)
    checked, advice = compile_engine_pair(made, 1, 256, with_int8=True)
    assert advice.precision == "fp16"
    assert "int8 is 0.50 times as fast" in advice.because
    assert "3 reformats between" in advice.because
    assert checked["int8"].passed


def test_a_device_without_int8_gets_float16_alone(bench):
    checked, advice = compile_engine_pair(bench(), 1, 256, with_int8=False)
    assert list(checked) == ["fp16"]
    assert (advice.precision, advice.because) == ("fp16", "this device has no int8")


def test_an_engine_with_other_answers_is_not_recommended(bench):
    checked, advice = compile_engine_pair(bench(answers="wrong"), 1, 256, with_int8=True)
    assert advice.precision is None
    assert not any(each.passed for each in checked.values())
    assert checked["int8"].same_answer < 0.5


def test_unreadable_times_are_a_named_failure(bench):
    with pytest.raises(BuildError, match=r"times.json that cannot be read") as caught:
        compile_engine_pair(bench(fails="garbage"), 1, 256, with_int8=True)
    assert caught.value.failure.transient


def test_the_second_time_nothing_is_built(bench):
    compile_engine_pair(bench(), 1, 256, with_int8=True)
    lines = []
    checked, _ = compile_engine_pair(bench(said=lines.append), 1, 256, with_int8=True)
    assert all(each.engine.reused for each in checked.values())
    assert sum("nothing changed" in line for line in lines) == 2


def test_what_holds_the_device_back_is_looked_for_while_it_times_and_told(bench, monkeypatch):
    """Two counted events in each timed run of one engine, heat in one of the other's."""
    counts, heat = iter(range(0, 99, 2)), iter([(), ("gpu-throttle-alert",), (), (), (), ()])
    runs = []

    def since(events):
        runs.append(events)
        return Throttling(next(counts) - events if len(runs) % 2 else 0, next(heat))

    monkeypatch.setattr(twins, "over_current_events", lambda: 0 if len(runs) % 2 else next(counts))
    monkeypatch.setattr(twins, "throttled_since", since)
    lines = []
    checked, _ = compile_engine_pair(bench(said=lines.append), 1, 256, with_int8=True)
    assert len(runs) == 2 * twins.TIMING_ROUNDS
    assert checked["int8"].throttling == Throttling(2 * twins.TIMING_ROUNDS, ())
    assert checked["fp16"].throttling == Throttling(0, ("gpu-throttle-alert",))
    warnings = [line for line in lines if line.startswith("warning")]
    assert len(warnings) == 2
    assert "int8 was held back while it was timed, 6 times by its supply" in warnings[0]
    assert "fp16 was held back while it was timed, for heat (gpu-throttle-alert)" in warnings[1]


def test_of_a_gpu_that_is_no_jetson_throttling_is_not_known(bench, monkeypatch):
    monkeypatch.setattr(twins, "throttled_since", lambda events: Throttling(0, ()))
    made = bench()
    made = dataclasses.replace(made, device=dataclasses.replace(DEVICE, jetpack="", opset=None))
    checked, _ = compile_engine_pair(made, 1, 256, with_int8=False)
    assert checked["fp16"].throttling == Throttling(None, None)


def test_the_log_of_timing_is_of_this_time_alone(bench, tmp_path):
    for _ in range(2):
        compile_engine_pair(bench(), 1, 256, with_int8=False)
    log = (tmp_path / "engines" / "time.fp16.log").read_text()
    assert log.count("&&&& RUNNING") == twins.TIMING_ROUNDS


def entry(precision, milliseconds, agreement=1.0, same=(1.0, 1.0), table=()):
    """A checked engine whose figures are given."""
    probes = golden()
    logits = probes.teacher_logits.copy()
    wrong = round((1 - agreement) * len(logits))
    logits[:wrong] = np.roll(logits[:wrong], 1, 1)
    engine = Engine(
        None, Fingerprint(*"abcdefgh"), Options(precision, "weak"), (1,), list(table), False
    )
    verdict = judge(probes, logits, 0.9, 0.95)
    return CheckedEngine(engine, milliseconds, same[0], *same, verdict, Throttling(0, ()))


@pytest.mark.parametrize(
    ("int8", "fp16", "precision", "because"),
    [
        ({}, {"milliseconds": 1.2}, "int8", "1.20 times as fast"),
        ({}, {"milliseconds": 1.04}, "fp16", "int8 is 1.04 times as fast"),
        ({"agreement": 0.5}, {}, "fp16", "int8 did not pass"),
        ({"same": (0.9, 0.97)}, {}, "fp16", "int8 did not pass"),
        ({"same": wilson(196, 200, 0.95)}, {}, "fp16", "int8 did not pass"),
        ({"same": wilson(200, 200, 0.95)}, {}, "fp16", "int8 is 1.00 times as fast"),
        ({"same": wilson(1980, 2000, 0.95)}, {}, "fp16", "int8 is 1.00 times as fast"),
        ({}, {"agreement": 0.5}, "int8", "float16 did not pass"),
        ({"agreement": 0.5}, {"agreement": 0.5}, None, "no engine passed"),
    ],
)
def test_the_faster_one_that_passed_is_recommended(int8, fp16, precision, because):
    checked = {
        "int8": entry("int8", **{"milliseconds": 1.0, **int8}),
        "fp16": entry("fp16", **{"milliseconds": 1.0, **fp16}),
    }
    advice = recommend(checked)
    assert advice.precision == precision
    assert because in advice.because


def test_few_probes_decide_nothing_that_many_may():
    assert not entry("int8", 1.0, same=wilson(196, 200, 0.95)).passed
    assert entry("int8", 1.0, same=wilson(196, 200, 0.95)).undecided
    assert not entry("int8", 1.0, same=wilson(150, 200, 0.95)).undecided
    assert not entry("int8", 1.0, same=wilson(200, 200, 0.95)).undecided


@pytest.mark.parametrize(
    ("name", "kind", "says"),
    [
        ("{ForeignNode[conv1...fc1]}", "CaskLayer", "not tell what is inside {ForeignNode["),
        ("all", "Myelin", "not tell what is inside all"),
        ("pool", "Pooling", "its table names no layer with weights"),
        ("conv1", "Convolution", "all its layers are int8"),
    ],
)
def test_nobody_says_int8_of_what_nobody_can_see(name, kind, says):
    table = [Layer(name, kind, "", "int8", "int8")]
    checked = {"int8": entry("int8", 1.0, table=table), "fp16": entry("fp16", 1.0)}
    because = recommend(checked).because
    assert says in because
    assert ("all its layers are int8" in because) == (kind == "Convolution")


def test_layers_left_in_float_are_named():
    table = [Layer("conv1", "Convolution", "", "fp16", "fp16")]
    checked = {"int8": entry("int8", 1.0, table=table), "fp16": entry("fp16", 1.0)}
    assert "1 layers stayed in float (conv1)" in recommend(checked).because


def test_the_sidecar_holds_the_layers(bench, tmp_path):
    compile_engine_pair(bench(), 1, 256, with_int8=True)
    sidecar = json.loads((tmp_path / "engines" / "student.int8.json").read_text())
    assert "int8" in {layer["takes"] for layer in sidecar["layers"]}
