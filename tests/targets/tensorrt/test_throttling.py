"""What held a device back, read from /sys as Jetsons have it; not known is not never."""

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
    """Two over-current sensors with three counters each, one of them unreadable, and another."""
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


def test_events_are_counted_and_unreadable_counters_passed_over(counters):
    assert over_current_events(counters) == 11
    assert throttled_since(9, counters).over_current == 2


def test_without_a_counter_nothing_is_known(tmp_path):
    assert over_current_events(tmp_path) is None
    assert throttled_since(None, tmp_path) == Throttling(None, None)


def test_heat_is_what_linux_holds_back_and_no_fan(tmp_path):
    cooling(tmp_path, {"pwm-fan": 3, "cpufreq-cpu0": 0, "gpu-throttle-alert": 0})
    assert heat_limited_devices(tmp_path) == ()
    cooling(tmp_path, {"pwm-fan": 3, "cpufreq-cpu0": 2, "gpu-throttle-alert": 1})
    expected = ("cpufreq-cpu0 (cooling_device1)", "gpu-throttle-alert (cooling_device2)")
    assert heat_limited_devices(tmp_path) == expected
    assert throttled_since(None, tmp_path) == Throttling(None, expected)


def test_a_device_whose_state_cannot_be_read_tells_nothing(tmp_path):
    cooling(tmp_path, {"gpu-throttle-alert": "no"})
    assert heat_limited_devices(tmp_path) is None


@pytest.mark.parametrize(
    ("seen", "all_of_it"),
    [
        ([Throttling(1, ()), Throttling(2, ("a",)), Throttling(0, ("a", "b"))], (3, ("a", "b"))),
        ([Throttling(1, ()), Throttling(None, ())], (None, ())),
        ([Throttling(0, None), Throttling(0, ())], (0, None)),
        ([Throttling(0, None), Throttling(0, ("a",))], (0, ("a",))),
    ],
)
def test_of_several_runs_what_one_does_not_tell_is_not_known(seen, all_of_it):
    assert combine(seen) == Throttling(*all_of_it)


def test_it_is_told_in_a_few_words():
    assert str(Throttling(2, ("a", "b"))) == "2 times by its supply and for heat (a, b)"
    assert not Throttling(0, ()).seen and not Throttling(None, None).seen
