"""The steps of a run in their order, and how each is run or reused."""

import importlib
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from base.bug_report import step_noted
from base.errors import InputError
from base.full_disk import temporary_folder
from base.notify import Notify
from pipeline.config.chosen_recipes import needs_fresh_generator
from pipeline.config.chosen_targets import cpu_targets
from pipeline.config.schema import RunConfig
from pipeline.reporter import Reporter, shown_name
from pipeline.roles import STUDENT, TEACHER
from pipeline.step_types import Role, Step, StepContext, StepResult
from pipeline.steps import (
    compile,
    distill,
    export,
    fresh_generator,
    hops,
    probe,
    quantize,
    teacher,
    validate,
)
from pipeline.store.code_digest import code_digest
from pipeline.store.process_lock import ProcessLock
from pipeline.store.step_record import Artifact, StepRecord, digest
from pipeline.store.step_workspace import Workspace
from pipeline.store.store import Store
from pipeline.training.metrics import recorded

Artifacts = dict[Role, Artifact]


def chain(config: RunConfig) -> list[Step]:
    """Return the steps of a run, each after the steps that make what it needs.

    Below 8 bits the last step is `quantize`: no supported runtime runs the result.
    """
    steps = [teacher.STEP]
    if config.student != "same":
        steps.append(distill.STEP)
    if needs_fresh_generator(config):
        steps.append(fresh_generator.STEP)
    steps.append(quantize.STEP)
    if not config.quantize.exported:
        return steps
    steps += [export.STEP, probe.STEP, hops.STEP]
    for target in cpu_targets(config):
        steps += [compile.STEP.for_target(target), validate.STEP.for_target(target)]
    return steps


StepLock = Callable[
    [str, Callable[[], object], Notify, Callable[[], str]], AbstractContextManager[None]
]
"""Waits until no other process runs the step with this key.

Its arguments: the key; a function whose result changes while another process works on the step; a
function that shows a message; a function that describes the run that works on the step.
"""


def no_lock(*_: object) -> AbstractContextManager[None]:
    """Return a lock that never waits, for a single process."""
    return nullcontext()


def run_step(
    step: Step,
    config: RunConfig,
    artifacts: Artifacts,
    store: Store,
    reporter: Reporter,
    lock: StepLock = no_lock,
) -> StepRecord:
    """Run a step, or reuse its result if the store has one with the same key.

    Args:
        step: The step.
        config: The run file.
        artifacts: What earlier steps of the run made.
        store: Holds earlier results, and receives the new one.
        reporter: Receives messages and progress.
        lock: Waits for other processes that run the same step.

    Returns:
        The step's artifacts and notes. The note `reused` is whether the result was reused.

    Raises:
        InputError: If the step cannot be run.
    """
    settings = step.settings(config, step.target)
    key = step_key(step, config, settings, artifacts)
    workspace = store.workspace(step.name, key)
    known = store.recall(step.name, key)
    if known is None:

        def labelled(line: str) -> None:
            reporter.say(f"{shown_name(step.label)}: {line}")

        with lock(key, workspace.write_times, labelled, workspace.owner):
            known = store.recall(step.name, key)
            if known is None:
                with workspace.heartbeat():
                    record = _run(step, config, settings, artifacts, store, workspace, reporter)
                store.record(step.name, key, record)
                workspace.clear()
                return _with_note(record, reused=False)
    reporter.say(f"{shown_name(step.label)}: reused")
    return _with_note(known, reused=True)


def _run(
    step: Step,
    config: RunConfig,
    settings: Any,
    artifacts: Artifacts,
    store: Store,
    workspace: Workspace,
    reporter: Reporter,
) -> StepRecord:
    with temporary_folder() as private:
        inputs, outputs = private / "inputs", private / "outputs"
        inputs.mkdir()
        outputs.mkdir()
        needs = step.needs(config, step.target)
        files = {role: store.get(artifacts[role], inputs) for role in needs}
        context = StepContext(config, settings, files, outputs, workspace, reporter, step.target)
        made: StepResult = importlib.import_module(step.module).run(context)
        if made.files.keys() != set(step.makes(config, step.target)):
            raise RuntimeError(f"step {step.label} made {sorted(made.files)}, not what it declares")
        stored = {r.record_name: store.put(path, path.name) for r, path in made.files.items()}
    return StepRecord(stored, made.notes)


def _with_note(record: StepRecord, *, reused: bool) -> StepRecord:
    return StepRecord(record.artifacts, {**record.notes, "reused": reused})


def step_key(step: Step, config: RunConfig, settings: Any, artifacts: Artifacts) -> str:
    """Return the digest of all that a step's result depends on: inputs, settings and code.

    Raises:
        InputError: If the record of an earlier step lacks an artifact.
    """
    needs = step.needs(config, step.target)
    if missing := [role for role in needs if role not in artifacts]:
        raise InputError(
            f"store: no earlier step's record has the {missing[0]} that {step.label} needs; "
            "delete the store's steps folder and run again"
        )
    return digest(
        {
            "inputs": {str(role): artifacts[role].sha256 for role in needs},
            "settings": settings,
            "code": code_digest(step.module, *step.modules(config)),
        }
    )


def add_artifacts(
    artifacts: Artifacts, step: Step, record: StepRecord, config: RunConfig
) -> Artifacts:
    """Return the artifacts of a run after one more step.

    With `student: same` the teacher is also the student.
    """
    made = {
        role: record.artifacts[role.record_name]
        for role in step.makes(config, step.target)
        if role.record_name in record.artifacts
    }
    if config.student == "same" and TEACHER in made:
        made[STUDENT] = made[TEACHER]
    return {**artifacts, **made}


def run_chain(
    config: RunConfig, store: Store, reporter: Reporter, metrics: Path | None = None
) -> dict[str, StepRecord]:
    """Run all steps of a run, one after another.

    If another run on this machine is doing one of the steps, wait for its result and reuse it.

    Args:
        config: The run file.
        store: Holds earlier results, and receives the new ones.
        reporter: Receives messages and progress.
        metrics: Folder for the steps' losses; None writes none.

    Returns:
        The steps' records by their labels.
    """
    records: dict[str, StepRecord] = {}
    artifacts: Artifacts = {}
    lock = ProcessLock(store)
    for step in chain(config):
        recorder = recorded(reporter, metrics, config.name, step.label)
        with step_noted(shown_name(step.label)), recorder as recording:
            record = run_step(step, config, artifacts, store, recording, lock)
        records[step.label] = record
        artifacts = add_artifacts(artifacts, step, record, config)
    return records
