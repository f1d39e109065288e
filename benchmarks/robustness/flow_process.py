"""A flow run as a process of its own, with a Prefect server that can be stopped and restarted."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from base.file_digest import file_digest
from pipeline.bundle.opening import open_bundle
from pipeline.store.store import Store
from tests.support.quick_run import QUICK, ROOT, write_run
from tests.support.session import Session, free_port

STEPS = ("teacher", "distill", "quantize", "export", "probe", "hops", "compile", "validate")

STAGES = (*STEPS, "bundle")
"""Parts of a run that can be disturbed; "bundle" is the part after the last step."""

SECTIONS = {
    "distill": {**QUICK["distill"], "budget": {"steps": 600}},
    "quantize": {**QUICK["quantize"], "budget": {"steps": 150}},
    "gate": {**QUICK["gate"], "rounds": 60},
}
"""Each training takes seconds, so that there are checkpoints to resume from."""

RUN = """
import sys
from pipeline.training import checkpoint
# The steps here are shorter than the normal time between two checkpoints.
checkpoint.SAVE_INTERVAL_S = 0.5
from flows.distill_and_quantize import VERDICT_STATES, distill_and_quantize
run_file, output = sys.argv[1:]
state = distill_and_quantize(run_file, output=output, return_state=True)
sys.exit(state.name not in VERDICT_STATES)
"""

Digests = dict[str, dict[str, str]]
"""The sha256 of every artifact, by role, by step, and the digest of the bundle under "bundle"."""


class Server:
    """A Prefect server that can be stopped and started again.

    Args:
        home: Folder of its database; the environment of its clients comes from `session`.
    """

    def __init__(self, home: Path) -> None:
        self.home = home
        self.url = f"http://127.0.0.1:{free_port()}/api"
        self.session: Session

    def start(self) -> None:
        """Start the server; a restart opens the same database."""
        self.session = Session(self.home, self.url, "unused", PREFECT_API_URL=self.url)
        self.session.start("prefect server start")
        self.session.wait_until_up()

    def stop(self) -> None:
        """Stop the server."""
        self.session.close()


@dataclass(frozen=True)
class FlowRun:
    """One flow run, which may be started several times.

    Attributes:
        folder: For its run file, log and bundle.
        store: A folder.
    """

    folder: Path
    store: Path

    @property
    def bundle(self) -> Path:
        """The folder of the bundle that the run writes."""
        return self.folder / "bundle"

    def record_times(self) -> dict[str, float]:
        """Return the time at which each finished step was recorded, by step."""
        found = {step: list((self.store / "steps" / step).glob("*.json")) for step in STEPS}
        return {step: paths[0].stat().st_mtime for step, paths in found.items() if paths}

    def log(self) -> str:
        """Return the log of all starts."""
        path = self.folder / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def digests(self) -> Digests:
        """Return the digests of everything the run made.

        Raises:
            AssertionError: If a file in the store does not match its digest.
        """
        for path in (self.store / "objects").rglob("*"):
            if path.is_file() and path.suffix != ".part":
                assert file_digest(path) == path.name, f"half-written: {path}"
        steps = {
            entry.place.split("/")[1]: {r: a.sha256 for r, a in record.artifacts.items()}
            for entry, record in Store(str(self.store)).records()
        }
        return {**steps, "bundle": {"manifest": open_bundle(self.bundle)["bundle"]}}

    def start(self, server: Server) -> "subprocess.Popen[bytes]":
        """Start the flow in a process that leads its own process group."""
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
