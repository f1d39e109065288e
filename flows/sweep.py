"""The flow `sweep`: one run for every combination of teachers, students and targets.

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

from flows.distill_and_quantize import PENDING_ENGINE
from pipeline.config.chosen_targets import HERE as LOCAL_TARGET

MEMBER = "distill-and-quantize/member"

POLL_INTERVAL_S = 5.0
"""Time between two requests for the state of a run."""

RESTART_TIMEOUT_S = 90.0
"""Time after which a crashed run is not restarted any more, see flows/automations.yaml."""

Row = dict[str, str]


@flow(name="sweep", persist_result=False)
def sweep(
    run_files: list[str],
    students: list[str] | None = None,
    targets: list[str] | None = None,
    wait: float = 24 * 3600.0,
) -> State[None]:
    """Run every combination on the workers of the pool; steps that runs share are done once.

    The sweep counts as one of its worker's runs, so a worker with a limit needs room for one more.

    Args:
        run_files: Run files, one for each teacher.
        students: Architectures, or "same"; by default the student of each run file.
        targets: Targets; by default those of each run file.
        wait: Time in seconds to wait for all runs.

    Returns:
        Completed if every verdict is pass, else Failed. The table on the run's page has one row for
        each combination.
    """
    from_run_file: list[str | None] = [None]
    combinations = product(run_files, [*(students or from_run_file)], [*(targets or from_run_file)])
    futures = [_member.submit(*combination, wait) for combination in combinations]
    rows = [future.result() for future in futures]
    create_table_artifact(rows, key="sweep")
    passed = sum(row["state"] in ("Completed", PENDING_ENGINE) for row in rows)
    line = f"{passed} of {len(rows)} passed"
    return Completed(message=line) if passed == len(rows) else Failed(message=line)


@task(name="member", task_run_name="{run_file} {student} {target}", persist_result=False)
def _member(run_file: str, student: str | None, target: str | None, wait_s: float) -> Row:
    parameters: dict[str, object] = {"run_file": run_file, "student": student}
    if target is not None:
        parameters["targets"] = [LOCAL_TARGET, *([] if target == LOCAL_TARGET else [target])]
    run = cast(FlowRun, run_deployment(MEMBER, parameters=parameters, timeout=0))
    state = _last_state(run.id, time.monotonic() + wait_s)
    return {
        "run file": run_file,
        "student": student or "from the run file",
        "target": target or "from the run file",
        "state": state.name if state and state.name else "pending",
        "message": (state.message or "") if state else "",
    }


def _last_state(run: UUID, deadline: float) -> State[Any] | None:
    """Return the final state of a run, or its state at the deadline."""
    crashed_at = float("inf")
    with get_client(sync_client=True) as client:
        while True:
            state, now = client.read_flow_run(run).state, time.monotonic()
            is_crashed = state is not None and state.is_crashed()
            crashed_at = min(crashed_at, now) if is_crashed else float("inf")
            is_over = state is not None and state.is_final() and not is_crashed
            if is_over or now - crashed_at > RESTART_TIMEOUT_S or now > deadline:
                return state
            time.sleep(POLL_INTERVAL_S)
