"""A user's terminal: processes that share an environment and end together."""

import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.support.quick_run import ROOT

BIN = Path(sys.executable).parent

STOP_TIMEOUT_S = 5
"""Time between SIGTERM and SIGKILL."""


def free_port() -> int:
    """Return a port on loopback that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Session:
    """Run commands in one environment; `close` stops every process that is still running.

    Args:
        home: HOME of the commands. The logs of background processes are written there.
        url: URL of the Prefect server's API.
        store: Folder or URL of the store.
        within: Words put before every command, such as `ip netns exec NAME`.
        folder: Working folder of the commands; the project's by default.
        environment: Further environment variables.
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
        self._groups: list[int] = []  # Background jobs of scripts and of pasted lines.
        self.environment = {
            **os.environ,
            "PATH": f"{BIN}:{os.environ['PATH']}",
            "HOME": str(home),
            "PREFECT_HOME": str(home / "prefect"),
            "PREFECT_SERVER_API_PORT": url.rsplit(":", 1)[1].split("/")[0],
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_WORKER_QUERY_SECONDS": "2",
            "DATAFREE_EDGE_STORE": str(store),
            **environment,
        }

    def start(self, command: str) -> "subprocess.Popen[bytes]":
        """Start a command in the background, as leader of its own process group."""
        with (self.home / f"{len(self.running)}.log").open("w") as log:
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

    def run(self, command: str, code: int = 0, timeout_s: float = 400) -> str:
        """Run a command and return its output.

        Raises:
            AssertionError: If the exit code is not `code`.
            subprocess.TimeoutExpired: If the command takes longer than `timeout_s`.
        """
        done = subprocess.run(
            [*self.within, *shlex.split(command)],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
        )
        assert done.returncode == code, f"{command}\n{done.stdout}\n{done.stderr}\n{self.log()}"
        return done.stdout

    def run_script(self, text: str, timeout_s: float = 400) -> str:
        """Run a shell script and return its output, errors included.

        Processes that the script leaves in the background belong to the session: `close` stops
        them.

        Raises:
            AssertionError: If a command of the script fails.
            subprocess.TimeoutExpired: If the script takes longer than `timeout_s`.
        """
        process = subprocess.Popen(
            [*self.within, "bash", "-euo", "pipefail", "-c", text],
            start_new_session=True,
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self.running.append(process)
        output = process.communicate(timeout=timeout_s)[0].decode()
        if _signal(process.pid, 0):
            self._groups.append(process.pid)
        assert process.returncode == 0, f"{text}\n{output}\n{self.log()}"
        return output

    def paste(self, text: str, timeout_s: float = 400) -> None:
        """Paste lines into an interactive shell of a terminal, and wait until they have run.

        Unlike in a script, a command that reads its input takes the lines that follow. Background
        jobs of the shell belong to the session: `close` stops them.

        Raises:
            AssertionError: If the lines have not run in `timeout_s`.
        """
        log, jobs = self.home / f"{len(self.running)}.log", self.home / "jobs"
        shell = "bash --noprofile --norc -i"
        process = subprocess.Popen(
            [*self.within, "script", "--quiet", "--flush", "--command", shell, log],
            start_new_session=True,
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
        )
        self.running.append(process)
        assert process.stdin is not None
        last = f"jobs -p > {jobs}.part; mv {jobs}.part {jobs}"
        process.stdin.write(f"{text}\n{last}\n".encode())
        process.stdin.flush()
        self.wait_until(jobs.exists, timeout_s)
        self._groups += map(int, jobs.read_text().split())

    def wait_until(self, condition: Callable[[], bool], timeout_s: float = 200) -> None:
        """Wait until a condition is met.

        Raises:
            AssertionError: If that takes longer than `timeout_s`.
        """
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.2)

    def log(self) -> str:
        """Return the ends of all logs."""
        return "\n".join(path.read_text()[-3000:] for path in self.home.glob("*.log"))

    def wait_until_up(self, url: str | None = None) -> None:
        """Wait until `url` responds; by default the Prefect server's health page."""
        ask = "import sys, urllib.request as r; r.urlopen(sys.argv[1], timeout=2)"
        command = [*self.within, sys.executable, "-c", ask, url or f"{self.url}/health"]
        for _ in range(180):
            if subprocess.run(command, capture_output=True).returncode == 0:
                return
            time.sleep(0.5)
        raise AssertionError(self.log())

    def serve(self) -> None:
        """Start a Prefect server with the pool and the deployment of local runs, but no worker."""
        self.start("prefect server start")
        self.wait_until_up()
        self.run("prefect work-pool create local --type process")
        self.run("prefect --no-prompt deploy --name local-cpu")

    def close(self) -> None:
        """Stop all processes, the latest first."""
        for process in reversed(self.running):
            if process.poll() is None:
                _signal(process.pid, signal.SIGTERM)
        self._groups = [group for group in self._groups if _signal(group, signal.SIGTERM)]
        deadline = time.monotonic() + STOP_TIMEOUT_S
        while self._has_processes() and time.monotonic() < deadline:
            time.sleep(0.1)
        for process in self.running:
            if process.poll() is None:
                _signal(process.pid, signal.SIGKILL)
                process.wait()
        for group in self._groups:
            _signal(group, signal.SIGKILL)

    def _has_processes(self) -> bool:
        alive = [process for process in self.running if process.poll() is None]
        return bool(alive) or any(_signal(group, 0) for group in self._groups)


def _signal(group: int, number: int) -> bool:
    """Send a signal to a process group; return whether the group has members."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    return True
