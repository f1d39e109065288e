# ruff: noqa: E402
"""The flow `watch-teachers`: send an event for each teacher of a registry that has changed.

prefect deployment run watch-teachers/registry --param registry=s3://bucket/teachers
"""

from prefect import State, flow, get_run_logger
from prefect.states import Completed, Failed

from flows.support.installed import require_installed

require_installed()

from base.errors import InputError
from flows.support.events import send_event
from pipeline.config.chosen_targets import HERE as LOCAL_TARGET
from pipeline.run import default_store
from pipeline.store.store import Store
from pipeline.teachers.registry import TeacherChange, find_changes, record_change

UPDATED, REJECTED = "teacher.updated", "teacher.rejected"

WANTED = "wanted"
"""Value of an event's labels. There is one label for each target of the teacher's run file; it
triggers the deployment of the same name."""


@flow(name="watch-teachers", persist_result=False, timeout_seconds=3600)
def watch_teachers(registry: str = "registry", pause: float = 10.0) -> State[None]:
    """Send `teacher.updated` or `teacher.rejected` once for each teacher that has changed.

    Args:
        registry: Folder or URL of the registry.
        pause: Time in seconds that a teacher's folder must stay unchanged to count as complete.
    """
    log, store, changed = get_run_logger(), Store(default_store()), []
    try:
        for change in find_changes(registry, store, pause, log.warning):
            _send(change)
            record_change(registry, store, change)
            outcome = f"rejected: {change.refused}" if change.refused else "updated"
            log.info(f"{change.name}: {outcome}")
            changed.append(change.name)
    except (InputError, ConnectionError) as error:
        return Failed(message=str(error))
    return Completed(message=f"changed: {', '.join(changed) or 'none'}")


def _send(change: TeacherChange) -> None:
    send_event(
        REJECTED if change.refused else UPDATED,
        "teacher",
        change.name,
        {
            "run_file": change.run_file,
            # The local CPU comes first: it gives the run its verdict.
            "targets": {
                called: chosen if called == LOCAL_TARGET else [LOCAL_TARGET, *chosen]
                for called, chosen in change.targets.items()
            },
            "fingerprint": change.fingerprint,
            "reason": change.refused,
        },
        **dict.fromkeys(change.targets, WANTED),
    )
