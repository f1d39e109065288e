"""One run that is killed, or whose server, store or disk fails, and how it ends."""

import itertools
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from base.file_digest import file_digest
from pipeline.bundle.bundle import open_bundle
from pipeline.store.store import Store
from tests.support.quick_run import QUICK, ROOT, write_run
from tests.support.session import Session, free_port

STEPS = ("teacher", "distill", "quantize", "export", "probe", "compile", "validate")

STAGES = (*STEPS, "bundle")
"""Where a run is disturbed; the last is what comes after the last record."""

STARTS = 4
"""How often a run is started, at most."""

SECTIONS = {
    "distill": {**QUICK["distill"], "budget": {"steps": 600}},
    "quantize": {**QUICK["quantize"], "budget": {"steps": 150}},
    "gate": {**QUICK["gate"], "rounds": 60},
}
"""Every training takes some seconds, so that there is something to go on from."""

RUN = """
import sys
from pipeline.training import checkpoint
# The phases are shorter than the time between two checkpoints of a real run.
checkpoint.SAVE_INTERVAL_S = 0.5
from flows.distill_and_quantize import VERDICT_STATES, distill_and_quantize
run_file, output = sys.argv[1:]
state = distill_and_quantize(run_file, output=output, return_state=True)
sys.exit(state.name not in VERDICT_STATES)
"""

Made = dict[str, dict[str, str]]
"""The sha256 of every artifact, by role, by step; the bundle's last."""


class Server:
    """A Prefect server that can be stopped and started again, and the processes that use it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.url = f"http://127.0.0.1:{free_port()}/api"
        self.session: Session

    def start(self) -> None:
        """Start it over the same database."""
        self.session = Session(self.home, self.url, "unused", PREFECT_API_URL=self.url)
        self.session.start("prefect server start")
        self.session.wait_until_up()

    def stop(self) -> None:
        """Stop it."""
        self.session.close()


@dataclass(frozen=True)
class Place:
    """Where a run works.

    Attributes:
        folder: Its own.
        store: A folder.
    """

    folder: Path
    store: Path

    @property
    def bundle(self) -> Path:
        """What it makes."""
        return self.folder / "bundle"

    def records(self) -> dict[str, float]:
        """When the record of each finished stage was written."""
        found = {step: list((self.store / "steps" / step).glob("*.json")) for step in STEPS}
        return {step: paths[0].stat().st_mtime for step, paths in found.items() if paths}

    def said(self) -> str:
        """The log of all its starts."""
        log = self.folder / "log"
        return log.read_text(errors="replace") if log.exists() else ""

    def made(self) -> Made:
        """What all stages made, each file's content checked against its name."""
        for path in (self.store / "objects").rglob("*"):
            if path.is_file() and path.suffix != ".part":
                assert file_digest(path) == path.name, f"half-written: {path}"
        steps = {
            kept.place.split("/")[1]: {r: a.sha256 for r, a in record.artifacts.items()}
            for kept, record in Store(str(self.store)).records()
        }
        return {**steps, "bundle": {"manifest": open_bundle(self.bundle)["bundle"]}}

    def start(self, server: Server) -> "subprocess.Popen[bytes]":
        """The flow, as a process that leads a group."""
        log = (self.folder / "log").open("ab")
        run_file = write_run(self.folder, **SECTIONS)
        command = ["python", "-c", RUN, str(run_file), str(self.bundle)]
        environment = {**server.session.environment, "DATAFREE_EDGE_STORE": str(self.store)}
        return subprocess.Popen(
            command,
            env=environment,
            cwd=ROOT,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def undisturbed(server: Server, folder: Path) -> tuple[Made, dict[str, float]]:
    """What a run makes that nobody disturbs, and the seconds that each stage takes.

    Two runs: the first one's seconds are those of a machine that has everything still to load.
    """
    for turn in ("cold", "warm"):
        (place := Place(folder / turn, folder / turn / "store")).store.mkdir(parents=True)
        process = place.start(server)
        _wait_for(place, process, "teacher")
        began = time.time()
        assert process.wait() == 0, place.said()
        records = place.records()
        ends = [began, *(records[step] for step in STEPS), time.time()]
    lasted = (after - before for before, after in itertools.pairwise(ends))
    return place.made(), dict(zip(STAGES, lasted, strict=True))


def disturbed(
    server: Server,
    folder: Path,
    kind: str,
    stage: str,
    lasts: float,
    rng: random.Random,
) -> dict[str, Any]:
    """Disturb a run in a stage, and see it to its end; the row of the table.

    The row's stage is the one that was hit, which may be the one after the one that was meant.

    Args:
        server: Stopped and started again by `kind` "server".
        folder: For the run.
        kind: "kill", "server", "store" or "disk".
        stage: In which.
        lasts: Seconds that the stage takes when nobody disturbs it.
        rng: Chooses the moment.
    """
    with _store(kind, folder) as store:
        place = Place(folder, store)
        process = place.start(server)
        _wait_for(place, process, stage)
        began, after = time.monotonic(), rng.uniform(0, lasts)
        # One that ends sooner than it did when nobody disturbed it is hit no later than at its end.
        while time.monotonic() - began < after and stage not in place.records():
            time.sleep(0.002)
        lasted, done = time.monotonic() - began, place.records()
        hit = next((step for step in STEPS if step not in done), "bundle")
        met = DISTURB[kind](server, place, process)
        kept = place.records()
        code = process.wait()
        mended = time.monotonic()
        if kind == "disk":
            subprocess.run(["mount", "-o", "remount,size=64m", str(store)], check=True)
        starts = 1
        while code != 0 and starts < STARTS:
            code = place.start(server).wait()
            starts += 1
        end = place.records()
        return {
            "kind": kind,
            "stage": hit,
            "after": round(lasted, 2),
            "starts": starts,
            "noticed": met or any(sign in place.said() for sign in SIGNS[kind]),
            "resumed": "resuming from a checkpoint" in place.said(),
            "done_twice": [step for step, when in kept.items() if end[step] != when],
            "seconds": round(time.monotonic() - mended, 1),
            "failed": place.said()[-2000:] if code else "",
            "made": {} if code else place.made(),
        }


def _wait_for(place: Place, process: "subprocess.Popen[bytes]", stage: str) -> None:
    """Until a stage begins: the one before it is recorded, or the run has begun."""
    index = STAGES.index(stage)
    while process.poll() is None:
        if index == 0 and "Beginning" in place.said():
            return
        if index and STAGES[index - 1] in place.records():
            return
        time.sleep(0.002)
    raise AssertionError(place.said())


def _kill(_: Server, __: Place, process: "subprocess.Popen[bytes]") -> bool:
    if process.poll() is not None:
        return False
    os.killpg(process.pid, signal.SIGKILL)
    return True


def _restart_server(server: Server, _: Place, process: "subprocess.Popen[bytes]") -> bool:
    """Away for longer than the rest of a run takes: one that is still there waits for it."""
    server.stop()
    with suppress(subprocess.TimeoutExpired):
        process.wait(20)
    met = process.poll() is None
    server.start()
    return met


def _hide_store(_: Server, place: Place, __: "subprocess.Popen[bytes]") -> bool:
    """As a share that is gone for a while: what asks for it gets errors."""
    aside = place.store.with_name("aside")
    place.store.rename(aside)
    place.store.write_text("no folder")
    time.sleep(8)
    place.store.unlink()
    aside.rename(place.store)
    return False


def _fill_disk(_: Server, place: Place, __: "subprocess.Popen[bytes]") -> bool:
    with suppress(OSError), (place.store / "ballast").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(1 << 12))
    return False


Disturb = Callable[[Server, Place, "subprocess.Popen[bytes]"], bool]
"""Whether the run is known to have met it; of False the log tells more."""

DISTURB: dict[str, Disturb] = {
    "kill": _kill,
    "server": _restart_server,
    "store": _hide_store,
    "disk": _fill_disk,
}


SIGNS: dict[str, tuple[str, ...]] = {
    "kill": (),
    "server": ("ConnectError", "Connection refused", "RemoteProtocolError"),
    "store": ("Not a directory", "FileExistsError"),
    "disk": ("No space left on device",),
}
"""What a log says of a disturbance that a run has met; one that is killed says nothing more."""


@contextmanager
def _store(kind: str, folder: Path) -> Iterator[Path]:
    store = folder / "store"
    store.mkdir()
    if kind != "disk":
        yield store
        return
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "none", str(store)], check=True)
    try:
        yield store
    finally:
        subprocess.run(["umount", "--lazy", str(store)], check=True)
