"""Small recipes, networks and loops, for tests that run hundreds of them."""

import copy
import io
from dataclasses import replace
from functools import lru_cache

import pytest
import torch
from safetensors.torch import load_file

from dfkd.composition import BatchBank, ImagePool, VaeReplay
from dfkd.images import ImageSpec
from dfkd.models import build
from dfkd.recipes.house import HOUSE
from dfkd.synthesizers import build_generator
from dfkd.training.budget import Plan
from dfkd.training.loop import Loop
from tests.support.quick_run import EXAMPLE

SPEC = ImageSpec((1, 28, 28), (0.1307,), (0.3081,))
MNIST = ImageSpec((1, 32, 32), (0.1307,), (0.3081,))
CPU = torch.device("cpu")


def one_of_each_kind_quick(recipes):
    """Return the names as parameters: one recipe of each kind in the quick tests, the rest slow.

    Recipes are of one kind if they have the same types of synthesizer and memory.
    """
    kinds, found = set(), []
    for name, recipe in recipes.items():
        kind = type(recipe.synthesizer), type(recipe.memory)
        found.append(pytest.param(name, marks=[pytest.mark.slow] if kind in kinds else []))
        kinds.add(kind)
    return found


def shrunk(recipe, batch=16, **schedule):
    """The recipe with small networks and counts.

    Latent sizes are divided by a constant, so that recipes that differ only in them still differ.
    """
    counts = recipe.schedule
    small = {
        "batch": batch,
        "student_steps": min(4, counts.student_steps),
        "fresh_batches": min(4, counts.fresh_batches),
        "procedural_batches": min(1, counts.procedural_batches),
    }
    return replace(
        recipe,
        synthesizer=_smaller_synthesizer(recipe.synthesizer),
        schedule=replace(counts, **(small | schedule)),
        memory=_smaller_memory(recipe.memory, 4 * batch),
    )


def _smaller_synthesizer(synthesizer):
    changes = {}
    if hasattr(synthesizer, "network"):
        latent = max(4, synthesizer.network.latent // 20)
        changes["network"] = replace(synthesizer.network, width=4, latent=latent)
    if not synthesizer.draws_on_demand:
        changes["steps"] = min(synthesizer.steps, 3)
    return replace(synthesizer, **changes)


def _smaller_memory(memory, capacity):
    if isinstance(memory, ImagePool | BatchBank):
        return replace(memory, capacity=min(memory.capacity, capacity))
    return replace(memory, latent=8) if isinstance(memory, VaeReplay) else memory


SMALL = shrunk(HOUSE, batch=8, fresh_batches=2, procedural_batches=0, student_steps=3)


def make_teacher(name="lenet5-bn", sharpness=1.0):
    """A copy of a random teacher; `sharpness` multiplies its logits."""
    return copy.deepcopy(_teacher(name, sharpness))


@lru_cache
def _teacher(name, sharpness):
    torch.manual_seed(11)
    teacher = build(name, SPEC, 10)
    with torch.no_grad():
        for _ in range(20):  # The batch norms store statistics.
            teacher.train()(torch.randn(32, *SPEC.shape))
        teacher.fc.f7.weight.mul_(sharpness)
    return teacher.eval().requires_grad_(False)


def mnist_teacher():
    """The trained teacher of the example."""
    teacher = build("lenet5", MNIST, 10)
    teacher.load_state_dict(load_file(EXAMPLE / "teacher.safetensors"))
    return teacher.eval().requires_grad_(False)


def make_loop(
    recipe=SMALL,
    plan=None,
    *,
    teacher="lenet5-bn",
    student="lenet5-half-bn",
    seed=3,
    spec=SPEC,
    precision=torch.float32,
    rates=None,
):
    """A loop on seeded networks; `teacher` and `student` are names or networks."""
    network = make_teacher(teacher) if isinstance(teacher, str) else teacher
    torch.manual_seed(0)
    student = build(student, spec, 10) if isinstance(student, str) else student
    return Loop(
        recipe,
        teacher=network,
        generator=build_generator(recipe, spec, 10),
        student=student,
        spec=spec,
        classes=10,
        plan=plan or Plan(2, 4),
        seed=seed,
        device=CPU,
        precision=precision,
        rates=rates,
    )


def weights(network):
    """All parameters and buffers in one vector."""
    return torch.cat([value.double().flatten() for value in network.state_dict().values()])


def through_a_file(state):
    """The state after writing and reading a file."""
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def every_number(state):
    """All tensors of a nested state in one list."""
    if isinstance(state, torch.Tensor):
        return [state]
    if isinstance(state, dict):
        return [t for value in state.values() for t in every_number(value)]
    if isinstance(state, list | tuple):
        return [t for value in state for t in every_number(value)]
    return []
