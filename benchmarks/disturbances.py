"""One run that is killed, or whose server, store or disk fails, and how it ends."""

import itertools
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.quick_run import ROOT, write_run
from benchmarks.session import Session, free_port
from pipeline.bundle import open_bundle
from pipeline.store import Store
from targets.durable_files import file_digest

STAGES = ("teacher", "distill", "quantize", "export", "probe", "compile", "validate")

RUN = """
import sys
from flows.distill_and_quantize import JUDGED, distill_and_quantize
run_file, output = sys.argv[1:]
sys.exit(distill_and_quantize(run_file, output=output, return_state=True).name not in JUDGED)
"""

Made = dict[str, dict[str, str]]
"""The sha256 of every artifact, by role, by step."""


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
        found = {stage: list((self.store / "steps" / stage).glob("*.json")) for stage in STAGES}
        return {stage: paths[0].stat().st_mtime for stage, paths in found.items() if paths}

    def made(self) -> Made:
        """What all stages made, each file's content checked against its name."""
        for path in (self.store / "objects").rglob("*"):
            if path.is_file() and path.suffix != ".part":
                assert file_digest(path) == path.name, f"half-written: {path}"
        return {
            kept.place.split("/")[1]: {r: a.sha256 for r, a in record.artifacts.items()}
            for kept, record in Store(str(self.store)).records()
        }

    def start(self, server: Server) -> "subprocess.Popen[bytes]":
        """The flow, as a process that leads a group."""
        log = (self.folder / "log").open("ab")
        run_file = write_run(self.folder)
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
    """What a run makes that nobody disturbs, and how long each stage takes."""
    place = Place(folder, folder / "store")
    assert place.start(server).wait() == 0, (folder / "log").read_text()
    ends = [place.records()[stage] for stage in STAGES]
    lasted = [0.5, *(after - before for before, after in itertools.pairwise(ends))]
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
        after = rng.uniform(0, lasts)
        time.sleep(after)
        before = place.records()
        hit = next((each for each in STAGES if each not in before), "bundle")
        DISTURB[kind](server, place, process)
        first = process.wait()
        kept = place.records()
        mended = time.monotonic()
        if kind == "disk":
            subprocess.run(["mount", "-o", "remount,size=64m", str(store)], check=True)
        starts = 1
        while first != 0 and starts < 4:
            first = place.start(server).wait()
            starts += 1
        assert first == 0, (folder / "log").read_text()[-3000:]
        open_bundle(place.bundle)
        end = place.records()
        again = [each for each, when in kept.items() if end[each] != when]
        return {
            "kind": kind,
            "stage": hit,
            "after": round(after, 2),
            "starts": starts,
            "done_twice": again,
            "seconds": round(time.monotonic() - mended, 1),
            "made": place.made(),
        }


def _wait_for(place: Place, process: "subprocess.Popen[bytes]", stage: str) -> None:
    """Until a stage begins: the one before it is recorded, or the run has begun."""
    index = STAGES.index(stage)
    log = place.folder / "log"
    while process.poll() is None:
        if index == 0 and b"Beginning" in log.read_bytes():
            return
        if index and STAGES[index - 1] in place.records():
            return
        time.sleep(0.002)
    raise AssertionError(log.read_text()[-3000:])


def _kill(_: Server, __: Place, process: "subprocess.Popen[bytes]") -> None:
    os.killpg(process.pid, signal.SIGKILL)


def _restart_server(server: Server, _: Place, __: "subprocess.Popen[bytes]") -> None:
    server.stop()
    time.sleep(3)
    server.start()


def _hide_store(_: Server, place: Place, __: "subprocess.Popen[bytes]") -> None:
    """As a share that is gone for a while: what asks for it gets errors."""
    aside = place.store.with_name("aside")
    place.store.rename(aside)
    place.store.write_text("no folder")
    time.sleep(8)
    place.store.unlink()
    aside.rename(place.store)


def _fill_disk(_: Server, place: Place, __: "subprocess.Popen[bytes]") -> None:
    with (place.store / "ballast").open("wb") as file:
        try:
            while True:
                file.write(bytes(1 << 16))
                file.flush()
        except OSError:
            return


Disturb = Callable[[Server, Place, "subprocess.Popen[bytes]"], None]

DISTURB: dict[str, Disturb] = {
    "kill": _kill,
    "server": _restart_server,
    "store": _hide_store,
    "disk": _fill_disk,
}


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
