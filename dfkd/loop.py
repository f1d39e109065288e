"""The one training loop: a generator and a student, alternating, against a frozen teacher.

Distillation and quantization-aware fine-tuning are the same loop with another student; a
generator that learns from the teacher alone is the same loop without one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from dfkd.images import ImageSpec
from dfkd.memory import ImagePool
from dfkd.models.generators import GENERATORS
from dfkd.objectives import OBJECTIVES
from dfkd.recipe import Recipe, RecipeError, Term
from dfkd.statistics import batch_norms, recorded
from dfkd.terms import TERMS, Synthesis


class DivergedError(RuntimeError):
    """A loss stopped being a finite number."""


@dataclass(frozen=True)
class Round:
    """What happened in one round, for whoever watches.

    Attributes:
        phase: "warm-up" (the generator alone) or "adversarial".
        number: 1 for the first round of the phase.
        total: Rounds in the phase.
        losses: Last value of each term (unweighted) and of the student's loss ("student").
        confidence: Mean of the teacher's largest probability on the last batch drawn.
        histogram: The teacher's answers on that batch, counted per class.
    """

    phase: str
    number: int
    total: int
    losses: dict[str, float]
    confidence: float
    histogram: list[int]


@dataclass
class Counts:
    """What a run has cost: the currency in which methods are compared.

    Attributes:
        student_steps: Updates of the student.
        images: Images drawn by the generator.
        teacher_passes: Per image, a forward counts 1, a forward with backward 3.
    """

    student_steps: int = 0
    images: int = 0
    teacher_passes: int = 0


def usable_terms(recipe: Recipe, teacher: nn.Module) -> tuple[Term, ...]:
    """The recipe's terms that this teacher can serve.

    Raises:
        RecipeError: When a term that is not optional needs batch norm and the teacher has none.
    """
    if batch_norms(teacher):
        return recipe.terms
    lacking = [t for t in recipe.terms if "batch norm" in TERMS[t.name].needs]
    for term in lacking:
        if not term.where_possible:
            raise RecipeError(
                f"recipe {recipe.name} needs batch norm (term {term.name}); the teacher has none"
            )
    return tuple(term for term in recipe.terms if term not in lacking)


def build_generator(recipe: Recipe, spec: ImageSpec, classes: int) -> nn.Module:
    """A fresh generator as the recipe asks, from torch's global random state."""
    return GENERATORS[recipe.generator](
        spec, classes, latent=recipe.latent, width=recipe.width, conditional=recipe.conditional
    )


class Loop:
    """One training run; `run` goes on from wherever the state stands.

    Args:
        recipe: The composition.
        teacher: Frozen, in eval mode.
        generator: As `build_generator` makes it.
        student: Trained in place; None trains the generator alone.
        classes: Number of classes.
        student_steps: The budget; rounded up to whole rounds.
        seed: Of every random draw in the loop.
        device: Where the networks are.

    Raises:
        RecipeError: When the teacher cannot serve the recipe.
    """

    def __init__(
        self,
        recipe: Recipe,
        *,
        teacher: nn.Module,
        generator: nn.Module,
        student: nn.Module | None,
        classes: int,
        student_steps: int,
        seed: int,
        device: torch.device,
    ) -> None:
        self.recipe, self.classes, self.device = recipe, classes, device
        self.teacher, self.generator, self.student = teacher, generator, student
        self.terms = usable_terms(recipe, teacher)
        self.rounds = 0 if student is None else -(-student_steps // recipe.schedule.student_steps)
        self.counts = Counts()
        self.pool = ImagePool(recipe.memory)
        self.rng = torch.Generator().manual_seed(seed)
        self._round = -recipe.schedule.warmup_rounds
        self._optimizers = {"generator": self._adam(generator, recipe.schedule.generator_lr)}
        if student is not None:
            self._optimizers["student"] = self._adam(student, recipe.schedule.student_lr)
        self._schedulers = [self._cosine(optimizer) for optimizer in self._optimizers.values()]

    def run(self, watch: Callable[[Round], None] = lambda _: None) -> None:
        """Run the rounds that are left.

        Args:
            watch: Called after every round; the loop's state is then complete and may be saved.

        Raises:
            DivergedError: When a loss is not finite.
        """
        while self._round < self.rounds:
            warm = self._round < 0
            terms = [t for t in self.terms if not (warm and "student" in TERMS[t.name].needs)]
            losses: dict[str, float] = {}
            for _ in range(self.recipe.schedule.generator_steps):
                losses, logits = self._generator_step(terms)
            if not warm:
                losses["student"] = self._student_phase()
                for scheduler in self._schedulers:
                    scheduler.step()
            self._round += 1
            watch(self._report(warm, losses, logits))

    def draw(self, count: int) -> tuple[Tensor, Tensor | None]:
        """Draw `count` images from the generator in its present mode; labels if conditional."""
        latents = torch.randn(count, self.recipe.latent, generator=self.rng).to(self.device)
        labels = None
        if self.recipe.conditional:
            labels = torch.randint(self.classes, (count,), generator=self.rng).to(self.device)
        return self.generator(latents, labels), labels

    def _generator_step(self, terms: list[Term]) -> tuple[dict[str, float], Tensor]:
        self.generator.train()
        images, labels = self.draw(self.recipe.schedule.batch)
        needs = frozenset[str]().union(*(TERMS[term.name].needs for term in terms))
        if "batch norm" in needs:
            with recorded(self.teacher) as statistics:
                logits = self.teacher(images)
        else:
            statistics, logits = [], self.teacher(images)
        answers = None
        if "student" in needs:
            assert self.student is not None
            self.student.eval()
            answers = self.student(images)
        synthesis = Synthesis(images, logits, statistics, answers, labels)
        values = {term.name: TERMS[term.name].compute(synthesis) for term in terms}
        loss = sum((term.weight * values[term.name] for term in terms), start=logits.new_zeros(()))
        self._descend("generator", loss)
        self.counts.images += len(images)
        self.counts.teacher_passes += 3 * len(images)
        return {name: value.item() for name, value in values.items()}, logits.detach()

    def _student_phase(self) -> float:
        assert self.student is not None
        schedule = self.recipe.schedule
        fresh = [self._fresh_batch() for _ in range(schedule.fresh_batches)]
        loss = torch.zeros(())
        self.student.train()
        for step in range(schedule.student_steps):
            batches = fresh[step : step + 1]
            if self.recipe.memory:
                batches.append(self.pool.recall(schedule.batch, self.rng))
            images = torch.cat([images for images, _ in batches])
            answers = torch.cat([logits for _, logits in batches])
            loss = OBJECTIVES[self.recipe.objective](self.student(images), answers)
            self._descend("student", loss)
            self.counts.student_steps += 1
        return loss.item()

    @torch.no_grad()
    def _fresh_batch(self) -> tuple[Tensor, Tensor]:
        images, _ = self.draw(self.recipe.schedule.batch)
        logits = self.teacher(images)
        self.pool.remember(images, logits)
        self.counts.images += len(images)
        self.counts.teacher_passes += len(images)
        return images, logits

    def _descend(self, who: str, loss: Tensor) -> None:
        if not torch.isfinite(loss):
            raise DivergedError(f"the {who}'s loss is {loss.item()} in round {self._round}")
        optimizer = self._optimizers[who]
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    def _report(self, warm: bool, losses: dict[str, float], logits: Tensor) -> Round:
        warmup = self.recipe.schedule.warmup_rounds
        return Round(
            phase="warm-up" if warm else "adversarial",
            number=self._round + (warmup if warm else 0),
            total=warmup if warm else self.rounds,
            losses=losses,
            confidence=logits.softmax(1).amax(1).mean().item(),
            histogram=torch.bincount(logits.argmax(1), minlength=self.classes).tolist(),
        )

    @staticmethod
    def _adam(network: nn.Module, lr: float) -> torch.optim.Optimizer:
        return torch.optim.Adam([p for p in network.parameters() if p.requires_grad], lr)

    def _cosine(self, optimizer: torch.optim.Optimizer) -> torch.optim.lr_scheduler.LRScheduler:
        final = optimizer.param_groups[0]["lr"] * self.recipe.schedule.final_lr
        return torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(1, self.rounds), final)

    def state_dict(self) -> dict[str, Any]:
        """Everything that a later process needs to go on exactly as this one would have."""
        networks = {"generator": self.generator, "student": self.student}
        return {
            "round": self._round,
            "counts": vars(self.counts).copy(),
            "rng": self.rng.get_state(),
            "global rng": torch.get_rng_state(),
            "pool": self.pool.state_dict(),
            "networks": {k: v.state_dict() for k, v in networks.items() if v is not None},
            "optimizers": {k: v.state_dict() for k, v in self._optimizers.items()},
            "schedulers": [s.state_dict() for s in self._schedulers],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up the state of a loop that was built with the same arguments."""
        self._round = state["round"]
        self.counts = Counts(**state["counts"])
        self.rng.set_state(state["rng"])
        torch.set_rng_state(state["global rng"])
        self.pool.load_state_dict(state["pool"], self.device)
        networks = {"generator": self.generator, "student": self.student}
        for name, network in networks.items():
            if network is not None:
                network.load_state_dict(state["networks"][name])
        for name, optimizer in self._optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])
        for scheduler, saved in zip(self._schedulers, state["schedulers"], strict=True):
            scheduler.load_state_dict(saved)
