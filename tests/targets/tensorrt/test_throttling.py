"""Throttling read from /sys files like a Jetson's; a missing file means unknown."""

import pytest

from targets.tensorrt.throttling import (
    Throttling,
    combine,
    heat_limited_devices,
    over_current_events,
    throttled_since,
)


@pytest.fixture
def counters(tmp_path):
    """Write two over-current sensors with three counters each, one of them unreadable."""
    folder = tmp_path / "sys" / "class" / "hwmon"
    for index, name in enumerate(("soctherm_oc", "ina3221", "soctherm_oc")):
        sensor = folder / f"hwmon{index}"
        sensor.mkdir(parents=True)
        (sensor / "name").write_text(f"{name}\n")
        for counter in (1, 2, 3):
            (sensor / f"oc{counter}_event_cnt").write_text(f"{counter}\n")
    (folder / "hwmon2" / "oc1_event_cnt").write_text("nonsense")
    return tmp_path


def cooling(root, states):
    for index, (kind, state) in enumerate(states.items()):
        device = root / "sys" / "class" / "thermal" / f"cooling_device{index}"
        device.mkdir(parents=True, exist_ok=True)
        (device / "type").write_text(f"{kind}\n")
        (device / "cur_state").write_text(f"{state}\n")


def test_over_current_events_skips_unreadable_counters(counters):
    assert over_current_events(counters) == 11
    assert throttled_since(9, counters).over_current == 2


def test_over_current_events_are_unknown_without_a_counter(tmp_path):
    assert over_current_events(tmp_path) is None
    assert throttled_since(None, tmp_path) == Throttling(None, None)


def test_heat_limited_devices_excludes_fans(tmp_path):
    cooling(tmp_path, {"pwm-fan": 3, "cpufreq-cpu0": 0, "gpu-throttle-alert": 0})
    assert heat_limited_devices(tmp_path) == ()
    cooling(tmp_path, {"pwm-fan": 3, "cpufreq-cpu0": 2, "gpu-throttle-alert": 1})
    expected = ("cpufreq-cpu0 (cooling_device1)", "gpu-throttle-alert (cooling_device2)")
    assert heat_limited_devices(tmp_path) == expected
    assert throttled_since(None, tmp_path) == Throttling(None, expected)


def test_heat_is_unknown_if_no_state_is_readable(tmp_path):
    cooling(tmp_path, {"gpu-throttle-alert": "no"})
    assert heat_limited_devices(tmp_path) is None


@pytest.mark.parametrize(
    ("runs", "total"),
    [
        ([Throttling(1, ()), Throttling(2, ("a",)), Throttling(0, ("a", "b"))], (3, ("a", "b"))),
        ([Throttling(1, ()), Throttling(None, ())], (None, ())),
        ([Throttling(0, None), Throttling(0, ())], (0, None)),
        ([Throttling(0, None), Throttling(0, ("a",))], (0, ("a",))),
    ],
)
def test_combine_keeps_unknown_values_unknown(runs, total):
    assert combine(runs) == Throttling(*total)


def test_throttling_is_formatted_in_a_few_words():
    assert str(Throttling(2, ("a", "b"))) == "2 over-current events and heat (a, b)"
    assert not Throttling(0, ()).occurred and not Throttling(None, None).occurred
