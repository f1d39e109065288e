"""The generator's loss: every term of a recipe, wrapped and weighted."""

from collections.abc import Collection
from typing import Any

import torch
from torch import Tensor, nn

from dfkd.compatibility import lacking_batch_norm, without_batch_norm
from dfkd.composition import ExpIncrement, Term
from dfkd.errors import RecipeError
from dfkd.models.forward_pass import batch_norms
from dfkd.recipe import Recipe
from dfkd.terms import TERMS
from dfkd.terms.inputs import TermInputs
from dfkd.terms.make import make_term, term_value
from dfkd.terms.stateful import StatefulTerm
from dfkd.terms.wrappers import wrapped


class WrappedTerm:
    """One term with the state of its wrapper.

    Args:
        term: The term as the recipe describes it.
        compute: The object from `make_term` that computes the term.
        stretch: Length of the run divided by the published length.
    """

    def __init__(self, term: Term, compute: StatefulTerm, stretch: float) -> None:
        self.term, self.compute = term, compute
        increment = term.wrapper if isinstance(term.wrapper, ExpIncrement) else None
        self.refresh = max(1, round(increment.refresh * stretch)) if increment else 0
        self._reference, self._calls = 0.0, 0

    def __call__(self, inputs: TermInputs) -> tuple[Tensor, Tensor]:
        """Return (value, weighted value after the wrapper), both scalars."""
        value = term_value(self.term.name, self.compute, inputs)
        loss = wrapped(value, self.term.wrapper, self._reference)
        if self.refresh:
            self._calls += 1
            if self._calls % self.refresh == 0:
                self._reference = value.item()
        return value, self.term.weight * loss

    def state_dict(self) -> dict[str, Any]:
        """Return the state of wrapper and term for a checkpoint."""
        own = self.compute.state_dict()
        return {"reference": self._reference, "calls": self._calls, "own": own}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore a state."""
        self._reference, self._calls = state["reference"], state["calls"]
        if state["own"]:
            self.compute.load_state_dict(state["own"])


def usable_terms(recipe: Recipe, teacher: nn.Module) -> tuple[Term, ...]:
    """Return the terms of the recipe that can be computed with this teacher.

    Raises:
        RecipeError: If a required term needs batch norm and the teacher has none.
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
    """The usable terms of a recipe, with their wrappers and weights.

    Args:
        terms: The terms from `usable_terms`.
        teacher: The teacher.
        stretch: Length of the run divided by the published length.

    Attributes:
        factor: Factor of the learning rates for the parameters of the terms; the loop sets it.
    """

    def __init__(self, terms: Collection[Term], teacher: nn.Module, stretch: float = 1.0) -> None:
        self.factor = 1.0
        self.wrapped = [
            WrappedTerm(term, make_term(term.name, teacher, **term.options), stretch)
            for term in terms
        ]

    def active(self, student: bool) -> list[WrappedTerm]:
        """Return all terms or, without a student, those that do not need one."""
        return [w for w in self.wrapped if student or not TERMS[w.term.name].needs_student]

    def inputs(self) -> frozenset[str]:
        """Return the names of all inputs that the terms need."""
        return frozenset[str]().union(*(TERMS[w.term.name].inputs for w in self.wrapped))

    def parameters(self) -> list[nn.Parameter]:
        """Return the trainable parameters that belong to the terms."""
        return [parameter for w in self.wrapped for parameter in w.compute.parameters()]

    def step(self) -> None:
        """Take a step for the parameters of the terms, after the generator's backward pass."""
        for w in self.wrapped:
            w.compute.step(self.factor)

    def end_batch(self) -> None:
        """Let the terms record the last batch."""
        for w in self.wrapped:
            w.compute.end_batch()

    def state_dict(self) -> list[dict[str, Any]]:
        """Return the state for a checkpoint."""
        return [w.state_dict() for w in self.wrapped]

    def load_state_dict(self, states: list[dict[str, Any]]) -> None:
        """Restore a state."""
        for w, state in zip(self.wrapped, states, strict=True):
            w.load_state_dict(state)


def gradient_shares(losses: dict[str, Tensor], images: Tensor) -> dict[str, float]:
    """Return each term's share of the gradient that reaches the images.

    Args:
        losses: Weighted value of each term.
        images: The images that they were computed from.

    Returns:
        The norm of each term's gradient divided by the sum of the norms. All are 0 if no gradient
        reaches the images.
    """
    norms = {}
    for name, loss in losses.items():
        (gradient,) = torch.autograd.grad(loss, images, retain_graph=True, allow_unused=True)
        norms[name] = 0.0 if gradient is None else gradient.norm().item()
    total = sum(norms.values()) or 1.0
    return {name: norm / total for name, norm in norms.items()}
