"""What a device of its own is asked for, by the deployment of its pool, and waited for."""

import time
from typing import Any, cast

from httpx import HTTPError
from prefect import State, task
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun
from prefect.deployments import run_deployment
from prefect.exceptions import ObjectNotFound, PrefectException

from base.errors import InputError
from pipeline.releases.engine_orders import Order, find_result, mark_unverified, pending_result
from pipeline.store.step_record import StepRecord
from pipeline.store.store import Store

ANSWER = 120.0
"""Seconds in which a device that has built before says whether it is still what it was."""

LOOK = 2.0
"""Seconds between two looks at a device's run."""

NOT_NOW = (PrefectException, HTTPError, OSError, InputError)
"""Why a device cannot be asked: the rest of the bundle does not wait for it."""


@task(name="engine", task_run_name="engine {order.name}", persist_result=False)
def build_elsewhere(order: Order, store: Store, wait: float) -> StepRecord:
    """Have a device's worker build; what cannot be had now is pending, and the run goes on.

    The device is asked even where it has built before: only it knows whether it is still the same.
    """
    known, answer = None, wait
    try:
        if (known := find_result(store, order)) is not None:
            answer = min(wait, ANSWER)
        state = _asked(order, store, answer, wait)
        made = find_result(store, order)
    except NOT_NOW as error:
        why = f"{order.pool} could not be asked: {error}"
        return pending_result(order, why) if known is None else mark_unverified(known, why)
    if state.is_completed() and made is not None:
        return made
    if state.is_final():
        return pending_result(order, state.message or f"the build ended {state.name}")
    # One that has begun, and is not done soon, has found that the device is not what it was.
    changed = known is None or state.is_running()
    why = f"no worker of the pool {order.pool} was done within {wait if changed else answer:g} s"
    return pending_result(order, why) if known is None or changed else mark_unverified(known, why)


def _asked(order: Order, store: Store, answer: float, wait: float) -> State[Any]:
    """State of the device's run: the last one, or after `answer` s, after `wait` s if it began."""
    name = f"compile-engine/{order.pool}"
    asked = {
        "store": store.url,
        "order": order.sha256,
        "key": order.key,
        "target": order.target,
        "dla_core": order.dla_core,
    }
    try:
        run = cast(FlowRun, run_deployment(name, parameters=asked, timeout=0))
    except ObjectNotFound:
        raise InputError(f"there is no deployment {name}; deploy flows/devices.yaml") from None
    began = time.monotonic()
    with get_client(sync_client=True) as client:
        while True:
            state = cast(State[Any], client.read_flow_run(run.id).state)
            waits = wait if state.is_running() else answer
            if state.is_final() or time.monotonic() - began > waits:
                return state
            time.sleep(LOOK)
