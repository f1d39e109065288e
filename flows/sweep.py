"""The flow `sweep`: teachers x students x targets, a run for each, on the pool's workers.

prefect deployment run sweep/sweep --param run_files='["a.yaml", "b.yaml"]' \
    --param students='["same", "resnet20"]'
"""

import time
from itertools import product
from typing import Any, cast
from uuid import UUID

from prefect import State, flow, task
from prefect.artifacts import create_table_artifact
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun
from prefect.deployments import run_deployment
from prefect.states import Completed, Failed

MEMBER = "distill-and-quantize/member"

HERE = "local-cpu"

LOOK = 5.0
"""Seconds between two looks at a member."""

TAKEN_UP = 90.0
"""Seconds in which a member that crashed is taken up again, or never (flows/automations.yaml)."""

Row = dict[str, str]


@flow(name="sweep", persist_result=False)
def sweep(
    run_files: list[str],
    students: list[str] | None = None,
    targets: list[str] | None = None,
    wait: float = 24 * 3600.0,
) -> State[None]:
    """A run for every combination; what several of them need is done once.

    This run is one of the worker's, so a worker with a limit needs room for one more.

    As many go on at once as the pool's workers take; another task runner
    (`sweep.with_options(task_runner=...)`) asks from elsewhere.

    Args:
        run_files: A teacher each.
        students: Architectures, or "same"; left out, each run file's own.
        targets: Left out, each run file's own.
        wait: Seconds for all of it.

    Returns:
        Completed when all passed; else Failed. The table on its page has a line for each.
    """
    own: list[str | None] = [None]
    chosen = product(run_files, [*(students or own)], [*(targets or own)])
    asked = [_member.submit(*each, wait) for each in chosen]
    rows = [future.result() for future in asked]
    create_table_artifact(rows, key="sweep")
    passed = sum(row["state"] == "Completed" for row in rows)
    line = f"{passed} of {len(rows)} passed"
    return Completed(message=line) if passed == len(rows) else Failed(message=line)


@task(name="member", task_run_name="{run_file} {student} {target}", persist_result=False)
def _member(run_file: str, student: str | None, target: str | None, wait: float) -> Row:
    parameters: dict[str, object] = {"run_file": run_file, "student": student}
    if target is not None:
        parameters["targets"] = [HERE] if target == HERE else [HERE, target]
    run = cast(FlowRun, run_deployment(MEMBER, parameters=parameters, timeout=0))
    state = _last_state(run.id, time.monotonic() + wait)
    return {
        "run file": run_file,
        "student": student or "its own",
        "target": target or "its own",
        "state": state.name if state and state.name else "pending",
        "": (state.message or "") if state else "",
    }


def _last_state(run: UUID, deadline: float) -> State[Any] | None:
    """The state that a run ends in, or that it is in at the deadline."""
    crashed = float("inf")
    with get_client(sync_client=True) as client:
        while True:
            state, now = client.read_flow_run(run).state, time.monotonic()
            is_crashed = state is not None and state.is_crashed()
            crashed = min(crashed, now) if is_crashed else float("inf")
            is_over = state is not None and state.is_final() and not is_crashed
            if is_over or now - crashed > TAKEN_UP or now > deadline:
                return state
            time.sleep(LOOK)
