"""Detect whether a Jetson was slowed by its power supply or by heat while it was timed.

Linux reports both under /sys. A missing file means "unknown" and gives None, never 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/")

HARMLESS_COOLING = ("fan", "hot-surface-alert")
"""Active cooling devices that cost no speed. Unverified: the names of a Jetson's other devices are
cpufreq-cpu0, devfreq-17000000.gpu, gpu-throttle-alert and similar; cpu-balanced and gpu-balanced on
a Nano."""


@dataclass(frozen=True)
class Throttling:
    """What slowed the device during a measurement.

    Attributes:
        over_current: Number of over-current events at the supply; None if nothing counts them.
        slowed_for_heat: Active cooling devices that reduce speed; None if unknown.
    """

    over_current: int | None
    slowed_for_heat: tuple[str, ...] | None

    @property
    def occurred(self) -> bool:
        """Whether the device was slowed, as far as known."""
        return bool(self.over_current or self.slowed_for_heat)

    def __str__(self) -> str:
        """Return the reasons in a few words."""
        words = [f"{self.over_current} over-current events"] if self.over_current else []
        words += [f"heat ({', '.join(self.slowed_for_heat)})"] if self.slowed_for_heat else []
        return " and ".join(words) or "none detected"


def over_current_events(root: Path = ROOT) -> int | None:
    """Return the number of over-current events since boot, from NVIDIA's soctherm_oc driver.

    Args:
        root: Root of the file system to read.
    """
    counts = []
    for name in (root / "sys/class/hwmon").glob("hwmon*/name"):
        if _text(name) == "soctherm_oc":
            texts = map(_text, sorted(name.parent.glob("oc*_event_cnt")))
            counts += [int(text) for text in texts if text.isdecimal()]
    return sum(counts) if counts else None


def heat_limited_devices(root: Path = ROOT) -> tuple[str, ...] | None:
    """Return the cooling devices that reduce speed now: those with a state above 0, except fans.

    Args:
        root: Root of the file system to read.
    """
    states = {}
    for device in sorted((root / "sys/class/thermal").glob("cooling_device*")):
        kind, state = _text(device / "type"), _text(device / "cur_state")
        if kind and state.isdecimal():
            states[f"{kind} ({device.name})"] = int(state)
    if not states:
        return None
    return tuple(
        name
        for name, state in states.items()
        if state and not any(harmless in name for harmless in HARMLESS_COOLING)
    )


def throttled_since(events: int | None, root: Path = ROOT) -> Throttling:
    """Return the throttling since an earlier reading; heat is the state at this moment.

    Args:
        events: The earlier result of `over_current_events`.
        root: Root of the file system to read.
    """
    now = over_current_events(root)
    counted = None if events is None or now is None else now - events
    return Throttling(counted, heat_limited_devices(root))


def combine(runs: Sequence[Throttling]) -> Throttling:
    """Return the throttling of several runs; a value unknown in one run is unknown in total."""
    counts = [each.over_current for each in runs]
    slowed = [each.slowed_for_heat for each in runs]
    known = [count for count in counts if count is not None]
    names = [name for each in slowed if each is not None for name in each]
    return Throttling(
        sum(known) if len(known) == len(counts) else None,
        tuple(dict.fromkeys(names)) if names or None not in slowed else None,
    )


def _text(path: Path) -> str:
    """Return a /sys file's text, or "" if it is unreadable: some need root."""
    try:
        return path.read_text().strip()
    except (OSError, ValueError):
        return ""
