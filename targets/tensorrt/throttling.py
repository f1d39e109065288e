"""What held a Jetson back while something was timed: its supply, or heat.

Linux tells both under /sys. Not known is not the same as never: where there is no such file it is
None and not 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/")

HARMLESS_COOLING = ("fan", "hot-surface-alert")
"""Cooling devices at work that cost no speed. [M]: names of a Jetson's others are cpufreq-cpu0,
devfreq-17000000.gpu, gpu-throttle-alert and the like; on a Nano cpu-balanced, gpu-balanced."""


@dataclass(frozen=True)
class Throttling:
    """What was seen.

    Attributes:
        over_current: Events that the supply's sensors counted; None where nothing counts them.
        slowed_for_heat: What Linux held back for heat; None where nothing tells.
    """

    over_current: int | None
    slowed_for_heat: tuple[str, ...] | None

    @property
    def seen(self) -> bool:
        """Whether anything was."""
        return bool(self.over_current or self.slowed_for_heat)

    def __str__(self) -> str:
        """A few words."""
        words = [f"{self.over_current} times by its supply"] if self.over_current else []
        words += [f"for heat ({', '.join(self.slowed_for_heat)})"] if self.slowed_for_heat else []
        return " and ".join(words) or "never, as far as it tells"


def over_current_events(root: Path = ROOT) -> int | None:
    """Over-current events since the start, by the counters of NVIDIA's soctherm_oc driver.

    Args:
        root: Where the system's files are.
    """
    counts = []
    for name in (root / "sys/class/hwmon").glob("hwmon*/name"):
        if _text(name) == "soctherm_oc":
            texts = map(_text, sorted(name.parent.glob("oc*_event_cnt")))
            counts += [int(text) for text in texts if text.isdecimal()]
    return sum(counts) if counts else None


def heat_limited_devices(root: Path = ROOT) -> tuple[str, ...] | None:
    """What is held back at this moment: cooling devices, fans apart, whose state is not 0."""
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
        if state and not any(k in name for k in HARMLESS_COOLING)
    )


def throttled_since(events: int | None, root: Path = ROOT) -> Throttling:
    """What was seen since the counters stood at `events`; heat as it is at this moment."""
    now = over_current_events(root)
    counted = None if events is None or now is None else now - events
    return Throttling(counted, heat_limited_devices(root))


def combine(seen: Sequence[Throttling]) -> Throttling:
    """Of several runs; what is not known of one is not known of all."""
    counts = [each.over_current for each in seen]
    slowed = [each.slowed_for_heat for each in seen]
    known = [count for count in counts if count is not None]
    names = [name for each in slowed if each is not None for name in each]
    return Throttling(
        sum(known) if len(known) == len(counts) else None,
        tuple(dict.fromkeys(names)) if names or None not in slowed else None,
    )


def _text(path: Path) -> str:
    """What a file of /sys says; "" where it cannot be read, as some only can as root."""
    try:
        return path.read_text().strip()
    except (OSError, ValueError):
        return ""
