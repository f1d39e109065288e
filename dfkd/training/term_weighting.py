"""From a synthesis to the generator's loss: every term, wrapped and weighted."""

from collections.abc import Collection
from typing import Any

import torch
from torch import Tensor, nn

from dfkd.compatibility import lacking_batch_norm, without_batch_norm
from dfkd.composition import AnyWrapper, Bounded, ExpIncrement, Log1p, Term
from dfkd.models.forward_pass import batch_norms
from dfkd.needs import NEEDS
from dfkd.recipe import Recipe, RecipeError
from dfkd.synthesizers.synthesis import Synthesis
from dfkd.terms import Compute, make_term

LARGEST_EXPONENT = 10.0
"""The exponent of "exp-increment" is clamped to this, or the first steps would overflow."""


class WrappedTerm:
    """One term with its wrapper's state."""

    def __init__(self, term: Term, compute: Compute, stretch: float) -> None:
        self.term, self.compute = term, compute
        refresh = term.wrapper.refresh if isinstance(term.wrapper, ExpIncrement) else 1
        self.refresh = max(1, round(refresh * stretch))
        self._reference, self._calls = 0.0, 0

    def __call__(self, synthesis: Synthesis) -> tuple[Tensor, Tensor]:
        """(raw value, weighted share of the loss)."""
        value = self.compute(synthesis)
        if isinstance(self.term.wrapper, ExpIncrement):
            share = wrapped(value, self.term.wrapper, self._reference)
            self._calls += 1
            if self._calls % self.refresh == 0:
                self._reference = value.item()
        else:
            share = wrapped(value, self.term.wrapper)
        return value, self.term.weight * share

    def state_dict(self) -> dict[str, Any]:
        """The wrapper's state and the term's own, for a checkpoint."""
        own: dict[str, Any] = getattr(self.compute, "state_dict", dict)()
        return {"reference": self._reference, "calls": self._calls, "own": own}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up a state."""
        self._reference, self._calls = state["reference"], state["calls"]
        if state["own"]:
            self.compute.load_state_dict(state["own"])  # type: ignore[attr-defined]


def wrapped(value: Tensor, wrapper: AnyWrapper | None, reference: float = 0.0) -> Tensor:
    """A term's value after its wrapper; see `dfkd.composition.generator_loss` for the formulas.

    The exponent of "exp-increment" is limited without losing the direction: beyond the limit the
    value grows on linearly, with the gradient it had there.
    """
    if isinstance(wrapper, ExpIncrement):
        over = value - reference
        inside = over.clamp(-LARGEST_EXPONENT, LARGEST_EXPONENT)
        return inside.exp() + (over - inside) * inside.detach().exp()
    if isinstance(wrapper, Bounded):
        return value.clamp_min(-wrapper.bound)
    if isinstance(wrapper, Log1p):
        return -torch.log1p(-value)
    return value


def usable_terms(recipe: Recipe, teacher: nn.Module) -> tuple[Term, ...]:
    """The recipe's terms that this teacher can serve.

    Raises:
        RecipeError: When a term that is not optional needs batch norm and the teacher has none.
    """
    if batch_norms(teacher):
        return recipe.terms
    lacking = lacking_batch_norm(recipe)
    if lacking:
        raise RecipeError(
            f"recipe {recipe.name} needs batch norm (term {lacking.name}); the teacher has none"
        )
    return without_batch_norm(recipe)


class Weighting:
    """All terms of a recipe that a teacher can serve.

    Args:
        terms: As `usable_terms` gives them.
        teacher: The network, for terms that size themselves by it.
        stretch: Length of the run over the published length.

    Attributes:
        factor: What the learning rates inside the terms are multiplied by; set by the loop.
    """

    def __init__(self, terms: Collection[Term], teacher: nn.Module, stretch: float = 1.0) -> None:
        self.factor = 1.0
        self.wrapped = [
            WrappedTerm(term, make_term(term.name, teacher, **term.options), stretch)
            for term in terms
        ]

    def active(self, student: bool) -> list[WrappedTerm]:
        """The terms to use with or without a student to ask."""
        return [w for w in self.wrapped if student or "student" not in NEEDS[w.term.name]]

    def needs(self) -> frozenset[str]:
        """What the teacher's pass must keep for the terms."""
        return frozenset[str]().union(*(NEEDS[w.term.name] for w in self.wrapped))

    def parameters(self) -> list[nn.Parameter]:
        """What learns inside the terms."""
        return [
            parameter
            for w in self.wrapped
            if hasattr(w.compute, "parameters")
            for parameter in w.compute.parameters()
        ]

    def step(self) -> None:
        """One step of what learns inside the terms, after the generator's backward."""
        for w in self.wrapped:
            if hasattr(w.compute, "step"):
                w.compute.step(self.factor)

    def settle(self) -> None:
        """Tell the terms that a batch is done."""
        for w in self.wrapped:
            if hasattr(w.compute, "settle"):
                w.compute.settle()

    def state_dict(self) -> list[dict[str, Any]]:
        """For a checkpoint."""
        return [w.state_dict() for w in self.wrapped]

    def load_state_dict(self, states: list[dict[str, Any]]) -> None:
        """Take up a state."""
        for w, state in zip(self.wrapped, states, strict=True):
            w.load_state_dict(state)


def gradient_shares(shares: dict[str, Tensor], images: Tensor) -> dict[str, float]:
    """How much of the gradient that reaches the images each term makes up.

    Args:
        shares: Each term's weighted part of the loss.
        images: What they were computed from.

    Returns:
        Norm of each term's gradient over the sum of these norms; all 0 where there is no gradient.
    """
    norms = {}
    for name, share in shares.items():
        (gradient,) = torch.autograd.grad(share, images, retain_graph=True, allow_unused=True)
        norms[name] = 0.0 if gradient is None else gradient.norm().item()
    total = sum(norms.values()) or 1.0
    return {name: norm / total for name, norm in norms.items()}
