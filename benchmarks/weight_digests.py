"""Digests of the weights after a short seeded run of every recipe, to check that arithmetic agrees.

python -m benchmarks.weight_digests --record FILE
python -m benchmarks.weight_digests --compare FILE

Each recipe is shrunk to small networks and batches and trained on one thread: two warm-up rounds,
if it can have a warm-up, then three rounds. The digests are SHA-256 of the student's weights, the
generator's weights and the state of the random number generator.
"""

import argparse
import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from benchmarks.machine import describe_machine
from dfkd.composition import BatchBank, ImagePool, VaeReplay
from dfkd.images import ImageSpec
from dfkd.models.construction import build
from dfkd.recipe import Recipe
from dfkd.recipes import EVERY_RECIPE
from dfkd.synthesizers.make import build_generator
from dfkd.terms import ADVERSARIES
from dfkd.training.budget import Plan
from dfkd.training.loop import Loop

SPEC = ImageSpec((1, 28, 28), (0.1307,), (0.3081,))
CLASSES = 10
BATCH = 16
NOTE = (
    "The digests hold on one machine only: another processor or version of torch rounds "
    "differently."
)


def shrunk(recipe: Recipe) -> Recipe:
    """Return the recipe with small networks, batches and step counts."""
    schedule = replace(
        recipe.schedule,
        batch=BATCH,
        student_steps=min(4, recipe.schedule.student_steps),
        fresh_batches=min(4, recipe.schedule.fresh_batches),
    )
    synthesizer: Any = recipe.synthesizer
    if hasattr(synthesizer, "network"):
        latent = max(4, synthesizer.network.latent // 20)
        network = replace(synthesizer.network, width=4, latent=latent)
        synthesizer = replace(synthesizer, network=network)
    if not synthesizer.draws_on_demand:
        synthesizer = replace(synthesizer, steps=min(synthesizer.steps, 3))
    memory = recipe.memory
    if isinstance(memory, ImagePool | BatchBank):
        memory = replace(memory, capacity=min(memory.capacity, 4 * BATCH))
    if isinstance(memory, VaeReplay):
        memory = replace(memory, latent=8)
    return replace(recipe, schedule=schedule, synthesizer=synthesizer, memory=memory)


def weight_digest(network: nn.Module | None) -> str | None:
    """Return the SHA-256 of all parameters and buffers; None without a network."""
    if network is None:
        return None
    digest = hashlib.sha256()
    for name, value in sorted(network.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().contiguous().numpy().tobytes())
    return digest.hexdigest()


def random_teacher() -> nn.Module:
    """Return a seeded LeNet-5 whose batch norms have statistics of random images."""
    torch.manual_seed(11)
    teacher = build("lenet5-bn", SPEC, CLASSES)
    with torch.no_grad():
        for _ in range(20):
            teacher.train()(torch.randn(32, *SPEC.shape))
    return teacher.eval().requires_grad_(False)


def run_digests(recipe: Recipe) -> dict[str, str | None]:
    """Return the digests after a short run of a recipe."""
    small, teacher = shrunk(recipe), random_teacher()
    torch.manual_seed(0)
    student = build("lenet5-half-bn", SPEC, CLASSES)
    warm_up = any(term.name not in ADVERSARIES for term in recipe.terms)
    loop = Loop(
        small,
        teacher=teacher,
        generator=build_generator(small, SPEC, CLASSES),
        student=student,
        spec=SPEC,
        classes=CLASSES,
        plan=Plan(2 if warm_up else 0, 3),
        seed=3,
        device=torch.device("cpu"),
    )
    loop.run()
    state = hashlib.sha256(loop.rng.get_state().numpy().tobytes()).hexdigest()
    return {
        "student": weight_digest(loop.delivered),
        "generator": weight_digest(loop.generator),
        "random state": state,
    }


def every_digest() -> dict[str, dict[str, str | None]]:
    """Return the digests of every recipe by its name."""
    torch.set_num_threads(1)
    return {name: run_digests(recipe) for name, recipe in EVERY_RECIPE.items()}


def main() -> int:
    """Record or compare the digests; exit with 1 when one differs."""
    parser = argparse.ArgumentParser(description="Record or compare weight digests.")
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--record", type=Path, metavar="FILE", help="write the digests")
    action.add_argument("--compare", type=Path, metavar="FILE", help="compare with recorded ones")
    arguments = parser.parse_args()
    found = every_digest()
    if arguments.record:
        machine = f"{describe_machine()}, torch {torch.__version__}"
        content = {"note": NOTE, "machine": machine, "recipes": found}
        arguments.record.write_text(json.dumps(content, indent=1) + "\n")
        return 0
    recorded = json.loads(arguments.compare.read_text())["recipes"]
    different = sorted(
        name for name in recorded.keys() | found.keys() if recorded.get(name) != found.get(name)
    )
    print(f"{len(found) - len(different)} of {len(found)} recipes agree")
    for name in different:
        print(f"different: {name}")
    return 1 if different else 0


if __name__ == "__main__":
    raise SystemExit(main())
