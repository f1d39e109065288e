"""Disturb one flow run: kill its process, or take away its server, its store or its disk space."""

import itertools
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from benchmarks.robustness.flow_process import STAGES, STEPS, Digests, FlowRun, Server

MAX_STARTS = 4
"""Starts of a run before it counts as failed."""

SERVER_DOWN_S = 20.0
"""Longer than the rest of any run takes, so that a run that is still there waits for the server."""

STORE_GONE_S = 8.0

POLL_S = 0.002


def undisturbed_run(server: Server, folder: Path) -> tuple[Digests, dict[str, float]]:
    """Run without a disturbance.

    Runs twice: the first run fills the caches of the machine, the second one is timed.

    Returns:
        The digests of everything the run made, and the seconds that each stage took.
    """
    for turn in ("cold", "warm"):
        (run := FlowRun(folder / turn, folder / turn / "store")).store.mkdir(parents=True)
        process = run.start(server)
        _wait_for_stage(run, process, "teacher")
        began = time.time()
        assert process.wait() == 0, run.log()
        times = run.record_times()
        ends = [began, *(times[step] for step in STEPS), time.time()]
    durations = (after - before for before, after in itertools.pairwise(ends))
    return run.digests(), dict(zip(STAGES, durations, strict=True))


def disturbed_run(
    server: Server,
    folder: Path,
    kind: str,
    stage: str,
    duration_s: float,
    rng: random.Random,
) -> dict[str, Any]:
    """Disturb a run at a random moment of a stage, then start it again until it ends.

    Args:
        server: Stopped and started again if `kind` is "server".
        folder: For the run.
        kind: "kill", "server", "store" or "disk".
        stage: The stage to disturb, one of `STAGES`.
        duration_s: Seconds that the stage takes without a disturbance.
        rng: Chooses the moment.

    Returns:
        A row of the table, with the digests of what the run made under "made". Its "stage" is the
        stage that was disturbed, which can be the one after `stage`.
    """
    with _store_folder(kind, folder) as store:
        run = FlowRun(folder, store)
        process = run.start(server)
        _wait_for_stage(run, process, stage)
        began, delay = time.monotonic(), rng.uniform(0, duration_s)
        # A stage that is faster than in the undisturbed run is disturbed at its end at the latest.
        while time.monotonic() - began < delay and stage not in run.record_times():
            time.sleep(POLL_S)
        delayed, finished = time.monotonic() - began, run.record_times()
        hit = next((step for step in STEPS if step not in finished), "bundle")
        noticed = DISTURB[kind](server, run, process)
        before = run.record_times()
        code = process.wait()
        restored = time.monotonic()
        if kind == "disk":
            subprocess.run(["mount", "-o", "remount,size=64m", str(store)], check=True)
        starts = 1
        while code != 0 and starts < MAX_STARTS:
            code = run.start(server).wait()
            starts += 1
        after = run.record_times()
        return {
            "kind": kind,
            "stage": hit,
            "after": round(delayed, 2),
            "starts": starts,
            "noticed": noticed or any(sign in run.log() for sign in LOG_SIGNS[kind]),
            "resumed": RESUMED in run.log(),
            "done_twice": [step for step, at in before.items() if after[step] != at],
            "seconds": round(time.monotonic() - restored, 1),
            "failed": run.log()[-2000:] if code else "",
            "made": {} if code else run.digests(),
        }


def _wait_for_stage(run: FlowRun, process: "subprocess.Popen[bytes]", stage: str) -> None:
    """Wait until a stage begins: the one before it is recorded, or the flow has started."""
    index = STAGES.index(stage)
    while process.poll() is None:
        if index == 0 and "Beginning" in run.log():
            return
        if index and STAGES[index - 1] in run.record_times():
            return
        time.sleep(POLL_S)
    raise AssertionError(run.log())


def _kill(_: Server, __: FlowRun, process: "subprocess.Popen[bytes]") -> bool:
    if process.poll() is not None:
        return False
    os.killpg(process.pid, signal.SIGKILL)
    return True


def _restart_server(server: Server, _: FlowRun, process: "subprocess.Popen[bytes]") -> bool:
    server.stop()
    with suppress(subprocess.TimeoutExpired):
        process.wait(SERVER_DOWN_S)
    waited = process.poll() is None
    server.start()
    return waited


def _hide_store(_: Server, run: FlowRun, __: "subprocess.Popen[bytes]") -> bool:
    """Replace the store by a file for a while, so that every access fails."""
    hidden = run.store.with_name("hidden")
    run.store.rename(hidden)
    run.store.write_text("not a folder")
    time.sleep(STORE_GONE_S)
    run.store.unlink()
    hidden.rename(run.store)
    return False


def _fill_disk(_: Server, run: FlowRun, __: "subprocess.Popen[bytes]") -> bool:
    with suppress(OSError), (run.store / "ballast").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(1 << 12))
    return False


Disturb = Callable[[Server, FlowRun, "subprocess.Popen[bytes]"], bool]
"""Returns whether the run is known to have noticed; if not, its log decides."""

DISTURB: dict[str, Disturb] = {
    "kill": _kill,
    "server": _restart_server,
    "store": _hide_store,
    "disk": _fill_disk,
}


LOG_SIGNS: dict[str, tuple[str, ...]] = {
    "kill": (),
    "server": ("ConnectError", "Connection refused", "RemoteProtocolError"),
    "store": ("Not a directory", "FileExistsError"),
    "disk": ("No space left on device",),
}
"""Text in the log that shows that a run noticed the disturbance; a killed run logs nothing."""

RESUMED = "resuming from a checkpoint"
"""Text in the log of a run that resumed a training."""


@contextmanager
def _store_folder(kind: str, folder: Path) -> Iterator[Path]:
    """Make a store folder, on a small disk of its own if that is to be filled."""
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
