"""Engine pairs with a stand-in for trtexec and a real bundle: timed, checked, recommended."""

import dataclasses
import json

import numpy as np
import pytest

from targets.bundle.golden import load_golden
from targets.bundle.verdict import judge, wilson
from targets.tensorrt import engine_timing
from targets.tensorrt.builders.trtexec import find_trtexec
from targets.tensorrt.diagnosis.failure import BuildError
from targets.tensorrt.engine import Engine
from targets.tensorrt.engine_pair import BuildContext, compile_engine_pair
from targets.tensorrt.fingerprint import Fingerprint
from targets.tensorrt.layers import Layer
from targets.tensorrt.options import Options
from targets.tensorrt.recommendation import CheckedEngine, recommend
from targets.tensorrt.throttling import Throttling
from tests.support.trtexec.install import DEVICE, install_trtexec_stand_in
from tests.targets.bundle.test_verdict import golden

PROBES = 512
"""Few runs of an engine answer all of them."""


@pytest.fixture
def context(monkeypatch, tmp_path, same_bundle):
    """Return a function that makes the context of a real bundle and a version's stand-in."""

    def _context(version="8.5", notify=print, **environment):
        install_trtexec_stand_in(monkeypatch, tmp_path, version)
        for name, value in environment.items():
            monkeypatch.setenv(f"STANDIN_{name.upper()}", str(value))
        folder = tmp_path / "engines"
        folder.mkdir(exist_ok=True)
        probes = load_golden(same_bundle / "golden.npz").subset(PROBES)
        trtexec = find_trtexec()
        graphs = same_bundle / "graphs"
        return BuildContext(trtexec, trtexec, DEVICE, graphs, folder, probes, 0.9, 0.95, notify)

    return _context


@pytest.mark.parametrize("version", ["8.2", pytest.param("10.3", marks=pytest.mark.slow), "11.1"])
def test_faster_engine_that_passes_on_all_probes_is_recommended(context, version):
    checked, recommendation = compile_engine_pair(
        context(version, int8_ms=1, fp16_ms=2), 1, 256, with_int8=True
    )
    assert list(checked) == ["int8", "fp16"]
    for each in checked.values():
        assert each.verdict.images == PROBES
        assert each.same_answer >= 0.99
        assert each.matches_graph
    assert checked["int8"].milliseconds == pytest.approx(1, abs=0.02)
    assert (recommendation.precision, recommendation.because) == (
        "int8",
        "2.00 times as fast as float16, and it passed",
    )


def test_slower_int8_engine_is_explained(context):
    pair_context = context(int8_ms=2, fp16_ms=1, reformats=3)
    checked, recommendation = compile_engine_pair(pair_context, 1, 256, with_int8=True)
    assert recommendation.precision == "fp16"
    assert "int8 is 0.50 times as fast" in recommendation.because
    assert "3 reformat layers" in recommendation.because
    assert checked["int8"].passed


def test_device_without_int8_gets_only_float16(context):
    checked, recommendation = compile_engine_pair(context(), 1, 256, with_int8=False)
    assert list(checked) == ["fp16"]
    assert (recommendation.precision, recommendation.because) == ("fp16", "this device has no int8")


def test_engine_with_wrong_logits_is_not_recommended(context):
    checked, recommendation = compile_engine_pair(context(answers="wrong"), 1, 256, with_int8=True)
    assert recommendation.precision is None
    assert not any(each.passed for each in checked.values())
    assert checked["int8"].same_answer < 0.5


def test_unreadable_times_are_a_transient_failure(context):
    with pytest.raises(BuildError, match=r"unreadable times.json") as caught:
        compile_engine_pair(context(fails="garbage"), 1, 256, with_int8=True)
    assert caught.value.failure.transient


def test_second_compile_reuses_both_engines(context):
    compile_engine_pair(context(), 1, 256, with_int8=True)
    lines = []
    checked, _ = compile_engine_pair(context(notify=lines.append), 1, 256, with_int8=True)
    assert all(each.engine.reused for each in checked.values())
    assert sum("unchanged, reused" in line for line in lines) == 2


def test_throttling_while_timing_is_recorded_and_warned_about(context, monkeypatch):
    """Two over-current events in each run of int8, heat in one run of float16."""
    counts, heat = iter(range(0, 99, 2)), iter([(), ("gpu-throttle-alert",), (), (), (), ()])
    runs = []

    def since(events):
        runs.append(events)
        return Throttling(next(counts) - events if len(runs) % 2 else 0, next(heat))

    monkeypatch.setattr(
        engine_timing, "over_current_events", lambda: 0 if len(runs) % 2 else next(counts)
    )
    monkeypatch.setattr(engine_timing, "throttled_since", since)
    lines = []
    checked, _ = compile_engine_pair(context(notify=lines.append), 1, 256, with_int8=True)
    assert len(runs) == 2 * engine_timing.TIMING_ROUNDS
    assert checked["int8"].throttling == Throttling(2 * engine_timing.TIMING_ROUNDS, ())
    assert checked["fp16"].throttling == Throttling(0, ("gpu-throttle-alert",))
    warnings = [line for line in lines if line.startswith("warning")]
    assert len(warnings) == 2
    assert "throttled while timing int8: 6 over-current events" in warnings[0]
    assert "throttled while timing fp16: heat (gpu-throttle-alert)" in warnings[1]


def test_throttling_of_a_gpu_that_is_not_a_jetson_is_unknown(context, monkeypatch):
    monkeypatch.setattr(engine_timing, "throttled_since", lambda events: Throttling(0, ()))
    pair_context = context()
    pair_context = dataclasses.replace(
        pair_context, device=dataclasses.replace(DEVICE, jetpack="", opset=None)
    )
    checked, _ = compile_engine_pair(pair_context, 1, 256, with_int8=False)
    assert checked["fp16"].throttling == Throttling(None, None)


def test_timing_log_contains_only_the_last_compile(context, tmp_path):
    for _ in range(2):
        compile_engine_pair(context(), 1, 256, with_int8=False)
    log = (tmp_path / "engines" / "time.fp16.log").read_text()
    assert log.count("&&&& RUNNING") == engine_timing.TIMING_ROUNDS


def entry(precision, milliseconds, agreement=1.0, same=(1.0, 1.0), layers=()):
    """Return a checked engine with given measurements."""
    probes = golden()
    logits = probes.teacher_logits.copy()
    wrong = round((1 - agreement) * len(logits))
    logits[:wrong] = np.roll(logits[:wrong], 1, 1)
    engine = Engine(
        None, Fingerprint(*"abcdefgh"), Options(precision, "weak"), (1,), list(layers), False
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
def test_recommend_chooses_the_faster_engine_that_passed(int8, fp16, precision, because):
    checked = {
        "int8": entry("int8", **{"milliseconds": 1.0, **int8}),
        "fp16": entry("fp16", **{"milliseconds": 1.0, **fp16}),
    }
    recommendation = recommend(checked)
    assert recommendation.precision == precision
    assert because in recommendation.because


def test_few_probes_are_undecided():
    assert not entry("int8", 1.0, same=wilson(196, 200, 0.95)).passed
    assert entry("int8", 1.0, same=wilson(196, 200, 0.95)).undecided
    assert not entry("int8", 1.0, same=wilson(150, 200, 0.95)).undecided
    assert not entry("int8", 1.0, same=wilson(200, 200, 0.95)).undecided


@pytest.mark.parametrize(
    ("name", "kind", "reason"),
    [
        ("{ForeignNode[conv1...fc1]}", "CaskLayer", "no details of {ForeignNode["),
        ("all", "Myelin", "no details of all"),
        ("pool", "Pooling", "its layer table contains no layer with weights"),
        ("conv1", "Convolution", "all its layers are int8"),
    ],
)
def test_opaque_layers_are_not_called_int8(name, kind, reason):
    layers = [Layer(name, kind, "", "int8", "int8")]
    checked = {"int8": entry("int8", 1.0, layers=layers), "fp16": entry("fp16", 1.0)}
    because = recommend(checked).because
    assert reason in because
    assert ("all its layers are int8" in because) == (kind == "Convolution")


def test_float_layers_are_named_in_the_reason():
    layers = [Layer("conv1", "Convolution", "", "fp16", "fp16")]
    checked = {"int8": entry("int8", 1.0, layers=layers), "fp16": entry("fp16", 1.0)}
    assert "1 layers run in float (conv1)" in recommend(checked).because


def test_sidecar_contains_the_layers(context, tmp_path):
    compile_engine_pair(context(), 1, 256, with_int8=True)
    sidecar = json.loads((tmp_path / "engines" / "student.int8.json").read_text())
    assert "int8" in {layer["takes"] for layer in sidecar["layers"]}
