"""The steps of a run in their order, and how one of them is done or found done."""

import importlib
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from base.errors import InputError
from pipeline.config.chosen_recipes import (
    chosen_recipe,
    needs_fresh_generator,
    taught_by_the_teacher,
)
from pipeline.config.chosen_targets import cpu_targets
from pipeline.config.schema import RunConfig, StudentSection
from pipeline.quantization.weight_range import half_range
from pipeline.steps.step_context import PRECISIONS, Made, Work
from pipeline.store.code_digest import factory_digest, source_digest
from pipeline.store.step_record import Artifact, StepRecord, digest
from pipeline.store.step_workspace import Unfinished
from pipeline.store.store import Store
from pipeline.teachers.weights_file import digest_of_weights, read_weights
from pipeline.training.metrics import recorded
from pipeline.training.progress import Reporter
from targets.catalogue.instruction_sets import this_cpu
from targets.cpu.session import cpu_fingerprint

Roles = dict[str, Artifact]


@dataclass(frozen=True)
class Step:
    """One arrow of the chain. Importing this module imports no step: a step done is not loaded.

    Attributes:
        name: Also the module in `pipeline.steps` whose `run` does it.
        needs: Roles of the artifacts it reads.
        settings: The part of the run file, as JSON, that its result depends on.
        target: The target it is done for; "" when it is done once for all.
    """

    name: str
    needs: tuple[str, ...]
    settings: Callable[[RunConfig], Any]
    target: str = ""

    @property
    def label(self) -> str:
        """What tells it from all other steps of a run."""
        return f"{self.name} {self.target}".rstrip()

    @property
    def module(self) -> str:
        """Where its `run` is."""
        return f"pipeline.steps.{self.name}"


def chain(config: RunConfig) -> list[Step]:
    """The steps this run file asks for, each after what it needs.

    Below 8 bits they end with the quantized student: no runtime here takes it.
    """
    same = config.student == "same"
    fresh = needs_fresh_generator(config)
    generator = ("fresh-generator" if fresh else "generator",) if config.quantize.draws else ()
    steps = [Step("teacher", (), _teacher_settings)]
    if not same:
        steps.append(Step("distill", ("teacher",), _part("input", "student", "distill", "seed")))
    if fresh:
        steps.append(Step("fresh_generator", ("teacher",), _fresh_generator_settings))
    steps.append(Step("quantize", ("teacher", "student", *generator), _quantize_settings))
    if not config.quantize.exported:
        return steps
    steps += [
        Step(
            "export",
            ("teacher", "student", "quantized", "quantizers"),
            _part("input", "student", "export"),
        ),
        Step("probe", ("teacher",), _probe_settings),
    ]
    for target in cpu_targets(config):
        compiled = tuple(_role(f"compiled-{precision}", target) for precision in PRECISIONS)
        steps += [
            Step("compile", ("fp32", "int8-cpu", "golden"), _compile_settings(target), target),
            Step("validate", ("golden", *compiled), _part("gate"), target),
        ]
    return steps


def _role(role: str, target: str) -> str:
    return f"{role}@{target}" if target else role


def _part(*names: str) -> Callable[[RunConfig], Any]:
    def settings(config: RunConfig) -> dict[str, Any]:
        dumped = config.model_dump(mode="json")
        part = {"teacher": _architecture(config), **{name: dumped[name] for name in names}}
        if "student" in names and isinstance(config.student, StudentSection):
            part["student"] = {
                **part["student"],
                "factory": factory_digest(config.student.architecture),
            }
        if TORCH & set(names):
            part["torch"] = {"device": config.device, **_versions("torch", "nncf", "onnxscript")}
        return part

    return settings


TORCH = {"seed", "student"}
"""Parts of the run file that only steps which compute with torch depend on."""


def _versions(*distributions: str) -> dict[str, str]:
    return {name: metadata.version(name) for name in distributions}


def _architecture(config: RunConfig) -> dict[str, Any]:
    """The teacher without its place: where weights lie is no part of any digest."""
    section = config.teacher.model_dump(mode="json", exclude={"weights"})
    return {**section, "factory": factory_digest(config.teacher.architecture)}


def _teacher_settings(config: RunConfig) -> Any:
    content = read_weights(config.teacher.weights)
    return {"weights": digest_of_weights(content), **_part("input")(config)}


def _fresh_generator_settings(config: RunConfig) -> Any:
    recipe = chosen_recipe(config.quantize.recipe, config.quantize.overrides)
    learning = asdict(taught_by_the_teacher(recipe))
    part = _part("input", "seed")(config)
    return {**part, "recipe": {n: value for n, value in learning.items() if n not in WORDS}}


WORDS = ("name", "citation", "reported", "notes")
"""What a recipe says of itself, on which nothing that it makes depends."""


def _quantize_settings(config: RunConfig) -> Any:
    settings = _part("input", "student", "distill", "quantize", "seed")(config)
    settings["quantize"]["weight_range"] = "half" if half_range(config) else "full"
    return settings


def _probe_settings(config: RunConfig) -> Any:
    gate = config.gate.model_dump(include={"images", "generators", "rounds"})
    return {"gate": gate, **_part("input", "seed")(config)}


def _compile_settings(target: str) -> Callable[[RunConfig], Any]:
    def settings(config: RunConfig) -> Any:
        machine = {
            "there": cpu_fingerprint(cpu_targets(config)[target].cpu),
            "here": cpu_fingerprint(this_cpu()),
        }
        return {"target": target, "batch": config.export.batch or 1, **machine}

    return settings


Turn = Callable[[str, Callable[[], object], Callable[[str], None]], AbstractContextManager[None]]
"""Waits until nobody else does the step of this key: its key, signs of life that change as long as
somebody does, where to say what is waited for."""


def no_waiting(*_: object) -> AbstractContextManager[None]:
    """The turn of one who is alone."""
    return nullcontext()


def perform(
    step: Step,
    config: RunConfig,
    roles: Roles,
    store: Store,
    reporter: Reporter,
    turn: Turn = no_waiting,
) -> StepRecord:
    """Do a step, unless the store knows that the same was done before.

    Args:
        step: Which.
        config: The run file.
        roles: The artifacts made so far.
        store: Where to look first and to keep what is made.
        reporter: Where the step says how far it is.
        turn: How to wait for others who do the same.

    Returns:
        Its artifacts and notes; the notes' `reused` tells whether it was found done.
    """
    settings = step.settings(config)
    key = step_key(step, settings, roles)
    unfinished = store.unfinished(step.name, key)
    known = store.recall(step.name, key)
    if known is None:
        with turn(key, unfinished.signs, reporter.say):
            known = store.recall(step.name, key)
            if known is None:
                with unfinished.worked_on():
                    record = _done(step, config, settings, roles, store, unfinished, reporter)
                store.record(step.name, key, record)
                unfinished.clear()
                return _noted(record, reused=False)
    reporter.say(f"{step.label}: found done")
    return _noted(known, reused=True)


def _done(
    step: Step,
    config: RunConfig,
    settings: Any,
    roles: Roles,
    store: Store,
    unfinished: Unfinished,
    reporter: Reporter,
) -> StepRecord:
    with tempfile.TemporaryDirectory(prefix="datafree-edge-") as private:
        inputs, outputs = Path(private, "inputs"), Path(private, "outputs")
        inputs.mkdir()
        outputs.mkdir()
        files = {role.split("@")[0]: store.get(roles[role], inputs) for role in step.needs}
        work = Work(config, settings, files, outputs, unfinished, reporter, step.target)
        made: Made = importlib.import_module(step.module).run(work)
        artifacts = {role: store.put(path, path.name) for role, path in made.files.items()}
    return StepRecord(artifacts, made.notes)


def _noted(record: StepRecord, *, reused: bool) -> StepRecord:
    return StepRecord(record.artifacts, {**record.notes, "reused": reused})


def step_key(step: Step, settings: Any, roles: Roles) -> str:
    """The digest of all that a step's result depends on: inputs, settings, code, versions.

    Raises:
        InputError: When a record of the store, for an earlier step, lacks an artifact.
    """
    if missing := [role for role in step.needs if role not in roles]:
        raise InputError(
            f"store: no earlier step's record has the {missing[0]} that {step.label} needs; "
            "delete the store's steps folder and run again"
        )
    return digest(
        {
            "inputs": {role: roles[role].sha256 for role in step.needs},
            "settings": settings,
            "code": source_digest(step.module),
        }
    )


def with_made(roles: Roles, step: Step, record: StepRecord, config: RunConfig) -> Roles:
    """The roles after a step: for `student: same`, the teacher plays the student too."""
    made = {_role(role, step.target): artifact for role, artifact in record.artifacts.items()}
    if config.student == "same" and "teacher" in made:
        made["student"] = made["teacher"]
    return {**roles, **made}


def run_chain(
    config: RunConfig, store: Store, reporter: Reporter, metrics: Path | None = None
) -> dict[str, StepRecord]:
    """All steps of a run, one after another; by their labels.

    Args:
        config: The run file.
        store: Where to look first and to keep what is made.
        reporter: Where they say how far they are.
        metrics: Folder for their losses; None keeps none.
    """
    records: dict[str, StepRecord] = {}
    roles: Roles = {}
    for step in chain(config):
        with recorded(reporter, metrics, config.name, step.label) as watched:
            record = records[step.label] = perform(step, config, roles, store, watched)
        roles = with_made(roles, step, record, config)
    return records
