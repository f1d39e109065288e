"""The flow `watch-teachers`: says what changed in a registry, once for every real change.

prefect deployment run watch-teachers/registry --param registry=s3://bucket/teachers
"""

from prefect import State, flow, get_run_logger
from prefect.states import Completed, Failed

from base.errors import InputError
from flows.support.events import tell
from pipeline.run import default_store
from pipeline.store.store import Store
from pipeline.teachers.registry import TeacherChange, find_changes, record_change

UPDATED, REJECTED = "teacher.updated", "teacher.rejected"

WANTED = "wanted"
"""Label that an event's teacher carries for every target that its run file names; the payload's
`targets` has what it says of it: TARGET, TARGET@POOL, TARGET-dla0."""

HERE = "local-cpu"


@flow(name="watch-teachers", persist_result=False, timeout_seconds=3600)
def watch_teachers(registry: str = "registry", pause: float = 10.0) -> State[None]:
    """Look for teachers that changed, and emit `teacher.updated` or `teacher.rejected` for each.

    Args:
        registry: Folder or URL of the registry.
        pause: Seconds in which a teacher's folder must not change to count as whole.
    """
    log, store, told = get_run_logger(), Store(default_store()), []
    try:
        for change in find_changes(registry, store, pause, log.warning):
            _tell(change)
            record_change(registry, store, change)
            said = f"refused: {change.refused}" if change.refused else "changed"
            log.info(f"{change.name}: {said}")
            told.append(change.name)
    except (InputError, ConnectionError) as error:
        return Failed(message=str(error))
    return Completed(message=f"changed: {', '.join(told) or 'none'}")


def _tell(change: TeacherChange) -> None:
    tell(
        REJECTED if change.refused else UPDATED,
        "teacher",
        change.name,
        {
            "run_file": change.run_file,
            # A verdict comes first: from this CPU, whatever else the run is for.
            "targets": {
                called: chosen if called == HERE else [HERE, *chosen]
                for called, chosen in change.targets.items()
            },
            "fingerprint": change.fingerprint,
            "reason": change.refused,
        },
        **dict.fromkeys(change.targets, WANTED),
    )
