"""Order an engine from a device through the deployment of its work pool, and wait for it."""

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

DEVICE_ANSWER_TIMEOUT_S = 120.0
"""Time in which a device that has built the engine before must confirm that it is unchanged."""

POLL_INTERVAL_S = 2.0
"""Time between two requests for the state of the device's run."""

UNREACHABLE = (PrefectException, HTTPError, OSError, InputError)
"""Errors after which the engine is pending and the run continues."""


@task(name="engine", task_run_name="engine {order.name}", persist_result=False)
def build_on_device(order: Order, store: Store, wait_s: float) -> StepRecord:
    """Return the engine that a device builds, or a pending entry if there is none in time.

    A device that has built this engine before is asked again: only the device can detect that its
    software or power mode has changed.

    Args:
        order: What to build, and for which device.
        store: Holds the order and receives the engine.
        wait_s: Time to wait for the engine.

    Returns:
        The engine; a pending entry with the reason; or the earlier engine, marked as unverified,
        if the device does not answer.
    """
    known, answer_s = None, wait_s
    try:
        if (known := find_result(store, order)) is not None:
            answer_s = min(wait_s, DEVICE_ANSWER_TIMEOUT_S)
        state = _wait_for_device(order, store, answer_s, wait_s)
        built = find_result(store, order)
    except UNREACHABLE as error:
        reason = f"no engine from the pool {order.pool}: {error}"
        return pending_result(order, reason) if known is None else mark_unverified(known, reason)
    if state.is_completed() and built is not None:
        return built
    if state.is_final():
        return pending_result(order, state.message or f"the build ended in the state {state.name}")
    # A run that has started and takes longer is a new build: the device has changed.
    changed = known is None or state.is_running()
    waited_s = wait_s if changed else answer_s
    reason = f"no worker of the pool {order.pool} finished within {waited_s:g} s"
    return (
        pending_result(order, reason)
        if known is None or changed
        else mark_unverified(known, reason)
    )


def _wait_for_device(order: Order, store: Store, answer_s: float, wait_s: float) -> State[Any]:
    """Return the final state of the device's run, or its state when the time is over.

    Args:
        order: What to build.
        store: The store as the device reaches it.
        answer_s: Time to wait for a run that has not started.
        wait_s: Time to wait for a run that has started.
    """
    name = f"compile-engine/{order.pool}"
    parameters = {
        "store": store.url,
        "order": order.sha256,
        "key": order.key,
        "target": order.target,
        "dla_core": order.dla_core,
    }
    try:
        run = cast(FlowRun, run_deployment(name, parameters=parameters, timeout=0))
    except ObjectNotFound:
        raise InputError(f"no deployment {name}; deploy it from flows/devices.yaml") from None
    started = time.monotonic()
    with get_client(sync_client=True) as client:
        while True:
            state = cast(State[Any], client.read_flow_run(run.id).state)
            limit_s = wait_s if state.is_running() else answer_s
            if state.is_final() or time.monotonic() - started > limit_s:
                return state
            time.sleep(POLL_INTERVAL_S)
