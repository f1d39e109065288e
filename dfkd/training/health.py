"""Health checks that need no real data. A run that fails one of them is rolled back."""

import math
from collections import deque
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn

from dfkd.training.round_statistics import RoundStatistics, effective_classes

WINDOW = 10
"""Number of consecutive rounds that must show a collapse before it is reported."""

MIN_CLASSES = 1.2
"""Smallest number of effective classes (exp of the entropy). With fewer, images have collapsed."""

MIN_SPREAD = 0.05
"""Images whose pairwise distance is below this fraction of the usual one have collapsed."""

MAX_GRADIENT = 1e3
"""A run whose gradient norm is above this multiple of the usual one diverges."""

MAX_FALL = 0.3
"""A run has diverged if the agreement on the probe is below its best value by more than this in two
measurements in a row."""

PROBE_LIFE = 5
"""Number of measurements after which the probe is replaced. Otherwise the student would have to
agree on images of an untrained generator throughout the run."""

PROBE_SIZE = 256
"""Number of images in the frozen probe; fewer if they are large."""

MAX_PROBE_VALUES = 2**23
"""Largest number of values in the frozen probe: 55 images of 3 x 224 x 224."""

MAX_PASS_VALUES = 2**21
"""Largest number of values in the images of one pass through the student: the whole probe of
3 x 32 x 32 images, or 13 images of 3 x 224 x 224."""

MEASUREMENTS = 20
"""Smallest number of measurements on the probe in a run. The state at a healthy measurement is kept
for roll-backs."""

MAX_INTERVAL = 20
"""Largest number of rounds between two measurements."""

RETRIES = 3
"""Number of roll-backs before a run fails."""

RATE_FACTOR = 0.5
"""Each roll-back multiplies the learning rates by this factor."""


def _one_class(histogram: list[int]) -> bool:
    return len(histogram) > 1 and effective_classes(histogram) < MIN_CLASSES


def _probe_size(images: Tensor) -> int:
    """Return the number of images in a probe of such images (N, C, H, W)."""
    return min(PROBE_SIZE, max(1, MAX_PROBE_VALUES // math.prod(images.shape[1:])))


@dataclass
class Health:
    """Checks every round and reports a fault if there is one.

    Attributes:
        events: A description of each roll-back.
        retries: Number of roll-backs so far.
        rate: Current factor of all learning rates; each roll-back lowers it.
        best_agreement: The best agreement so far on the current probe.
        suspect: Whether the last images may be the start of a collapse.
        probe: Images and the classes that the teacher predicts; None until enough images are
            collected.
    """

    events: list[str] = field(default_factory=list)
    retries: int = 0
    rate: float = 1.0
    best_agreement: float = 0.0
    suspect: bool = False
    probe: tuple[Tensor, Tensor] | None = None
    _recent: deque[RoundStatistics] = field(default_factory=lambda: deque(maxlen=WINDOW))
    _spreads: deque[float] = field(default_factory=lambda: deque(maxlen=100))
    _gradients: dict[str, deque[float]] = field(default_factory=dict)
    _collected: list[tuple[Tensor, Tensor]] = field(default_factory=list)
    _age: int = 0
    _fallen: bool = False

    def fault(self, statistics: RoundStatistics) -> str | None:
        """Return a description of the fault in this round; None if there is none."""
        for network, loss in statistics.losses.items():
            if not math.isfinite(loss):
                return f"the {network}'s loss is {loss}"
        for network, norm in statistics.gradients.items():
            if not math.isfinite(norm):
                return f"the {network}'s gradient is {norm}"
        collapse = (
            None if statistics.spread is None else self._collapse(statistics, statistics.spread)
        )
        return collapse or self._explosion(statistics)

    def _collapse(self, statistics: RoundStatistics, spread: float) -> str | None:
        usual = median(self._spreads) if self._spreads else 0.0
        self._spreads.append(spread)
        self._recent.append(statistics)
        too_small = spread < MIN_SPREAD * usual
        self.suspect = too_small or _one_class(statistics.histogram)
        if len(self._recent) < WINDOW:
            return None
        summed = [sum(counts) for counts in zip(*(v.histogram for v in self._recent), strict=True)]
        if _one_class(summed):
            return f"mode collapse: one class in {WINDOW} rounds of images"
        if all((v.spread or 0.0) < MIN_SPREAD * usual for v in self._recent):
            return f"mode collapse: all images alike for {WINDOW} rounds"
        return None

    def _explosion(self, statistics: RoundStatistics) -> str | None:
        for network, norm in statistics.gradients.items():
            past = self._gradients.setdefault(network, deque(maxlen=100))
            usual = median(past) if len(past) >= WINDOW else math.inf
            past.append(norm)
            if usual > 0 and norm > MAX_GRADIENT * usual:
                return f"divergence: the {network}'s gradient is {norm / usual:.0f} times the usual"
        return None

    def collect(self, images: Tensor, logits: Tensor) -> None:
        """Collect a few images of a round for the next probe, until it has enough.

        Args:
            images: (N, C, H, W).
            logits: (N, K), logits of the teacher.
        """
        if sum(len(part) for part, _ in self._collected) < _probe_size(images):
            share = PROBE_SIZE // WINDOW + 1
            self._collected.append((images[:share].clone(), logits[:share].argmax(1)))

    def _freeze(self) -> None:
        """Replace the probe if it is old enough and enough images are collected."""
        if not self._collected or (self.probe is not None and self._age < PROBE_LIFE):
            return
        size = _probe_size(self._collected[0][0])
        if sum(len(part) for part, _ in self._collected) >= size:
            images, classes = zip(*self._collected, strict=True)
            self.probe = (torch.cat(images)[:size], torch.cat(classes)[:size])
            self._collected, self._age = [], 0
            self.best_agreement = 0.0

    @torch.no_grad()
    def agreement(self, student: nn.Module) -> float | None:
        """Return the share of the probe on which both networks agree; None without a probe."""
        if not self.doubtful:
            self._freeze()
        if self.probe is None:
            return None
        self._age += 1
        student.eval()
        images, expected = self.probe
        size = max(1, MAX_PASS_VALUES // images[0].numel())
        classes = torch.cat([student(part).argmax(1) for part in images.split(size)])
        right: Tensor = (classes == expected).float().mean()
        return right.item()

    def agreement_fault(self, agreement: float | None) -> str | None:
        """Return a fault if the agreement was too low in two measurements in a row."""
        if agreement is None:
            return None
        self.best_agreement = max(self.best_agreement, agreement)
        fallen = agreement < self.best_agreement - MAX_FALL
        confirmed, self._fallen = fallen and self._fallen, fallen
        if confirmed:
            return (
                f"divergence: agreement on the frozen probe fell from {self.best_agreement:.0%} "
                f"to {agreement:.0%}"
            )
        return None

    def rolled_back(self, fault: str, where: str) -> bool:
        """Record a fault and lower the learning rates.

        Args:
            fault: Description of the fault.
            where: Description of the round.

        Returns:
            Whether the run may continue with the lower learning rates.
        """
        self.retries += 1
        again = self.retries <= RETRIES
        if again:
            self.rate *= RATE_FACTOR
            self.events.append(f"{where}: {fault}; rolled back, learning rates times {self.rate:g}")
        else:
            self.events.append(f"{where}: {fault}; given up after {RETRIES} roll-backs")
        self._recent.clear()
        self._spreads.clear()
        self._gradients.clear()
        # The collected images may come from the faulty state.
        self._collected, self._fallen, self.suspect = [], False, False
        self.best_agreement = 0.0
        return again

    @property
    def doubtful(self) -> bool:
        """Whether the current state may be faulty. Such a state is not kept for roll-backs."""
        return self.suspect or self._fallen

    @property
    def given_up(self) -> bool:
        """Whether the run has failed, after its last roll-back."""
        return self.retries > RETRIES

    def state_dict(self) -> dict[str, Any]:
        """Return the state for a checkpoint."""
        return {
            "events": list(self.events),
            "retries": self.retries,
            "rate": self.rate,
            "best": self.best_agreement,
            "suspect": self.suspect,
            "probe": self.probe,
            "recent": [vars(v).copy() for v in self._recent],
            "spreads": list(self._spreads),
            "gradients": {network: list(past) for network, past in self._gradients.items()},
            "gathered": list(self._collected),
            "age": self._age,
            "fallen": self._fallen,
        }

    def load_state_dict(self, state: dict[str, Any], device: torch.device) -> None:
        """Restore a state, and move the probe to this device."""
        self.events, self.retries = list(state["events"]), state["retries"]
        self.rate, self.best_agreement = state["rate"], state["best"]
        self.suspect = state["suspect"]
        probe = state["probe"]
        self.probe = None if probe is None else (probe[0].to(device), probe[1].to(device))
        self._collected = [(i.to(device), t.to(device)) for i, t in state["gathered"]]
        self._age, self._fallen = state["age"], state["fallen"]
        self._recent = deque((RoundStatistics(**v) for v in state["recent"]), maxlen=WINDOW)
        self._spreads = deque(state["spreads"], maxlen=100)
        self._gradients = {w: deque(p, maxlen=100) for w, p in state["gradients"].items()}
