"""A user's terminal on one machine: processes that share an environment and end together."""

import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.support.quick_run import ROOT

BIN = Path(sys.executable).parent


def free_port() -> int:
    """A port on loopback that nothing listens to."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Session:
    """Commands run in it stop with it.

    Args:
        home: Its HOME; the logs of what runs in the background lie there too.
        url: Of the Prefect server's API.
        store: Folder or URL.
        within: What every command is put behind, e.g. to run it in a network namespace.
        folder: Where commands are run; the project's when left out.
        environment: Variables of its own.
    """

    def __init__(
        self,
        home: Path,
        url: str,
        store: Path | str,
        within: Sequence[str] = (),
        folder: Path = ROOT,
        **environment: str,
    ) -> None:
        self.folder = folder
        self.home, self.url, self.within = home, url, list(within)
        self.running: list[subprocess.Popen[bytes]] = []
        self.environment = {
            **os.environ,
            "PATH": f"{BIN}:{os.environ['PATH']}",
            "HOME": str(home),
            "PREFECT_HOME": str(home / "prefect"),
            "PREFECT_SERVER_API_PORT": url.rsplit(":", 1)[1].split("/")[0],
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_WORKER_QUERY_SECONDS": "2",
            "DATAFREE_EDGE_STORE": str(store),
            # A home of its own would build NNCF's kernels again.
            "TORCH_EXTENSIONS_DIR": os.environ.get(
                "TORCH_EXTENSIONS_DIR", str(Path.home() / ".cache" / "torch_extensions")
            ),
            **environment,
        }

    def start(self, command: str) -> "subprocess.Popen[bytes]":
        """Run in the background; the process leads a group of its own."""
        log = (self.home / f"{len(self.running)}.log").open("w")
        process = subprocess.Popen(
            [*self.within, *shlex.split(command)],
            start_new_session=True,
            cwd=self.folder,
            env=self.environment,
            stdout=log,
            stderr=log,
        )
        self.running.append(process)
        return process

    def run(self, command: str, code: int = 0, seconds: float = 400) -> str:
        """Run to its end, within so many seconds; returns what it printed."""
        done = subprocess.run(
            [*self.within, *shlex.split(command)],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
        )
        assert done.returncode == code, f"{command}\n{done.stdout}\n{done.stderr}\n{self.log()}"
        return done.stdout

    def log(self) -> str:
        """The ends of all logs."""
        return "\n".join(path.read_text()[-3000:] for path in self.home.glob("*.log"))

    def wait_until_up(self, url: str | None = None) -> None:
        """Until a server answers, Prefect's when no other is named."""
        ask = "import sys, urllib.request as r; r.urlopen(sys.argv[1], timeout=2)"
        command = [*self.within, sys.executable, "-c", ask, url or f"{self.url}/health"]
        for _ in range(180):
            if subprocess.run(command, capture_output=True).returncode == 0:
                return
            time.sleep(0.5)
        raise AssertionError(self.log())

    def serve(self) -> None:
        """Start a Prefect server with a pool `local` and the deployment `local-cpu`; no worker."""
        self.start("prefect server start")
        self.wait_until_up()
        self.run("prefect work-pool create local --type process")
        self.run("prefect --no-prompt deploy --name local-cpu")

    def close(self) -> None:
        """Stop what runs, the latest first."""
        for process in reversed(self.running):
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
        for process in self.running:
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
