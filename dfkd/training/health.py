"""Signs of a run gone wrong that can be seen without data: watched, and rolled back from."""

import copy
import math
from collections import deque
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn

WINDOW = 10
"""Rounds in a row that must look alike before a fault is declared."""

FEWEST_CLASSES = 1.2
"""Below so many effective classes (exp of the entropy of the answers) the images have collapsed."""

SMALLEST_SPREAD = 0.05
"""Share of the usual pairwise distance below which the images have collapsed."""

LARGEST_GRADIENT = 1e3
"""Times the usual gradient norm above which a run diverges."""

LARGEST_FALL = 0.3
"""Fall of the agreement on the frozen probe, from its best, with which a run has diverged, if the
next look confirms it."""

LIFE = 5
"""Looks after which the probe is frozen anew: a student may well forget what an untrained generator
drew, and in a game it should."""

PROBE = 256
"""Images of the frozen probe."""

LOOKS = 20
"""At least so many looks a run at the probe, each of which leaves a state to roll back to."""

LONGEST = 20
"""Rounds between two looks, at most."""

RETRIES = 3
"""Roll-backs before a run is given up."""

GENTLER = 0.5
"""What the learning rates are multiplied by at each roll-back."""


@dataclass(frozen=True)
class Vitals:
    """What a round shows.

    Attributes:
        histogram: The teacher's answers on the last images, counted per class.
        spread: Root mean square distance of pairs of these images, per pixel; None in a round
            without images.
        losses: Last generator and student loss, by who.
        gradients: Norms of the last gradients, by who.
    """

    histogram: list[int]
    spread: float | None
    losses: dict[str, float] = field(default_factory=dict)
    gradients: dict[str, float] = field(default_factory=dict)


def effective_classes(histogram: list[int]) -> float:
    """Exp of the entropy of a histogram: K for K classes alike, 1 for one class only."""
    total = sum(histogram)
    shares = [count / total for count in histogram if count]
    return math.exp(-sum(share * math.log(share) for share in shares))


def _one_class(histogram: list[int]) -> bool:
    return len(histogram) > 1 and effective_classes(histogram) < FEWEST_CLASSES


def pairwise_spread(images: Tensor) -> float:
    """Root mean square distance between pairs of images, per pixel.

    Twice the variance over the batch, averaged over pixels: exact over all ordered pairs.
    """
    if len(images) < 2:
        return 0.0
    return (2 * images.float().var(0).mean()).sqrt().item()


@dataclass
class Health:
    """Looks at each round's vitals and names a fault when there is one.

    Attributes:
        events: What happened, in words, for log and result.
        retries: Roll-backs so far.
        rate: What all learning rates are multiplied by, after the roll-backs so far.
        best_agreement: The best so far on the frozen probe.
        suspect: The last images look like the first of a collapse.
        probe: Images and the teacher's classes; None until enough are gathered.
    """

    events: list[str] = field(default_factory=list)
    retries: int = 0
    rate: float = 1.0
    best_agreement: float = 0.0
    suspect: bool = False
    probe: tuple[Tensor, Tensor] | None = None
    _recent: deque[Vitals] = field(default_factory=lambda: deque(maxlen=WINDOW))
    _spreads: deque[float] = field(default_factory=lambda: deque(maxlen=100))
    _gradients: dict[str, deque[float]] = field(default_factory=dict)
    _gathered: list[tuple[Tensor, Tensor]] = field(default_factory=list)
    _age: int = 0
    _fallen: bool = False

    def fault(self, vitals: Vitals) -> str | None:
        """What is wrong after this round, in words; None when nothing is."""
        for who, loss in vitals.losses.items():
            if not math.isfinite(loss):
                return f"the {who}'s loss is {loss}"
        for who, norm in vitals.gradients.items():
            if not math.isfinite(norm):
                return f"the {who}'s gradient is {norm}"
        collapse = None if vitals.spread is None else self._collapse(vitals, vitals.spread)
        return collapse or self._explosion(vitals)

    def _collapse(self, vitals: Vitals, spread: float) -> str | None:
        usual = median(self._spreads) if self._spreads else 0.0
        self._spreads.append(spread)
        self._recent.append(vitals)
        alike = spread < SMALLEST_SPREAD * usual
        self.suspect = alike or _one_class(vitals.histogram)
        if len(self._recent) < WINDOW:
            return None
        summed = [sum(counts) for counts in zip(*(v.histogram for v in self._recent), strict=True)]
        if _one_class(summed):
            return f"mode collapse: one class in {WINDOW} rounds of images"
        if all((v.spread or 0.0) < SMALLEST_SPREAD * usual for v in self._recent):
            return f"mode collapse: all images alike for {WINDOW} rounds"
        return None

    def _explosion(self, vitals: Vitals) -> str | None:
        for who, norm in vitals.gradients.items():
            past = self._gradients.setdefault(who, deque(maxlen=100))
            usual = median(past) if len(past) >= WINDOW else math.inf
            past.append(norm)
            if usual > 0 and norm > LARGEST_GRADIENT * usual:
                return f"divergence: the {who}'s gradient is {norm / usual:.0f} times the usual"
        return None

    def gather(self, images: Tensor, answers: Tensor) -> None:
        """Put a few images of a round to the next frozen probe, until it is full."""
        if sum(len(part) for part, _ in self._gathered) < PROBE:
            share = PROBE // WINDOW + 1
            self._gathered.append((images[:share].clone(), answers[:share].argmax(1)))

    def _freeze(self) -> None:
        """Make a probe of what was gathered, when there is none or it has had its time."""
        full = sum(len(part) for part, _ in self._gathered) >= PROBE
        if full and (self.probe is None or self._age >= LIFE):
            images, answers = zip(*self._gathered, strict=True)
            self.probe = (torch.cat(images)[:PROBE], torch.cat(answers)[:PROBE])
            self._gathered, self._age = [], 0
            self.best_agreement = 0.0

    @torch.no_grad()
    def agreement(self, student: nn.Module) -> float | None:
        """Share of the frozen probe on which the student answers as the teacher; None before."""
        if not self.doubtful:
            self._freeze()
        if self.probe is None:
            return None
        self._age += 1
        student.eval()
        right: Tensor = (student(self.probe[0]).argmax(1) == self.probe[1]).float().mean()
        return right.item()

    def forgotten(self, agreement: float | None) -> str | None:
        """Whether the student has lost what it knew of the probe, in two looks in a row."""
        if agreement is None:
            return None
        self.best_agreement = max(self.best_agreement, agreement)
        fallen = agreement < self.best_agreement - LARGEST_FALL
        confirmed, self._fallen = fallen and self._fallen, fallen
        if confirmed:
            return (
                f"divergence: agreement on the frozen probe fell from {self.best_agreement:.0%} "
                f"to {agreement:.0%}"
            )
        return None

    def rolled_back(self, fault: str, where: str) -> bool:
        """Take note of a fault; whether another try, at half the learning rates, is left."""
        self.retries += 1
        again = self.retries <= RETRIES
        if again:
            self.rate *= GENTLER
            self.events.append(f"{where}: {fault}; rolled back, learning rates times {self.rate:g}")
        else:
            self.events.append(f"{where}: {fault}; given up after {RETRIES} roll-backs")
        self._recent.clear()
        self._spreads.clear()
        self._gradients.clear()
        # What was gathered may be what went wrong.
        self._gathered, self._fallen, self.suspect = [], False, False
        self.best_agreement = 0.0
        return again

    @property
    def doubtful(self) -> bool:
        """Whether the last images or the last look say that this is no state to return to."""
        return self.suspect or self._fallen

    @property
    def given_up(self) -> bool:
        """Whether every roll-back is used up."""
        return self.retries > RETRIES

    def state_dict(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {
            "events": list(self.events),
            "retries": self.retries,
            "rate": self.rate,
            "best": self.best_agreement,
            "suspect": self.suspect,
            "probe": self.probe,
            "recent": [vars(v).copy() for v in self._recent],
            "spreads": list(self._spreads),
            "gradients": {who: list(past) for who, past in self._gradients.items()},
            "gathered": list(self._gathered),
            "age": self._age,
            "fallen": self._fallen,
        }

    def load_state_dict(self, state: dict[str, Any], device: torch.device) -> None:
        """Take up a state, with the probe on this device."""
        self.events, self.retries = list(state["events"]), state["retries"]
        self.rate, self.best_agreement = state["rate"], state["best"]
        self.suspect = state["suspect"]
        probe = state["probe"]
        self.probe = None if probe is None else (probe[0].to(device), probe[1].to(device))
        self._gathered = [(i.to(device), t.to(device)) for i, t in state["gathered"]]
        self._age, self._fallen = state["age"], state["fallen"]
        self._recent = deque((Vitals(**v) for v in state["recent"]), maxlen=WINDOW)
        self._spreads = deque(state["spreads"], maxlen=100)
        self._gradients = {w: deque(p, maxlen=100) for w, p in state["gradients"].items()}


class Snapshot:
    """A healthy state of networks, optimisers and memories, in memory."""

    def __init__(self, state: dict[str, Any]) -> None:
        self.state = copy.deepcopy(state)
