"""The README's commands, against a real Prefect server and a real worker on loopback."""

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from pipeline.bundle import open_bundle
from tests.conftest import QUICK, ROOT, write_run

BIN = Path(sys.executable).parent


def documented(heading):
    """The commands of a README section, in order."""
    section = (ROOT / "README.md").read_text().split(f"## {heading}\n")[1].split("\n## ")[0]
    block = re.search(r"```sh\n(.*?)```", section, re.DOTALL).group(1)
    return [line.split("  #")[0].strip() for line in block.splitlines() if line.strip()]


class Session:
    """A user's terminal: processes that share an environment and end together."""

    def __init__(self, home, store):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/api"
        self.logs, self.running = home, []
        self.environment = {
            **os.environ,
            "PATH": f"{BIN}:{os.environ['PATH']}",
            "HOME": str(home),
            "PREFECT_HOME": str(home / "prefect"),
            "PREFECT_SERVER_API_PORT": str(self.port),
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_WORKER_QUERY_SECONDS": "2",
            "DATAFREE_EDGE_STORE": str(store),
            # A home of its own would build NNCF's kernels again.
            "TORCH_EXTENSIONS_DIR": os.environ.get(
                "TORCH_EXTENSIONS_DIR", str(Path.home() / ".cache" / "torch_extensions")
            ),
        }

    def start(self, command):
        log = (self.logs / f"{len(self.running)}.log").open("w")
        arguments = {"cwd": ROOT, "env": self.environment, "stdout": log, "stderr": log}
        process = subprocess.Popen(shlex.split(command), start_new_session=True, **arguments)
        self.running.append(process)

    def run(self, command, code=0):
        done = subprocess.run(
            shlex.split(command),
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=400,
        )
        assert done.returncode == code, f"{command}\n{done.stdout}\n{done.stderr}\n{self.log()}"
        return done.stdout

    def log(self):
        return "\n".join(path.read_text()[-3000:] for path in self.logs.glob("*.log"))

    def wait_until_up(self):
        for _ in range(180):
            try:
                urllib.request.urlopen(f"{self.url}/health", timeout=2)
                return
            except OSError:
                time.sleep(0.5)
        raise AssertionError(self.log())

    def close(self):
        for process in reversed(self.running):
            os.killpg(process.pid, signal.SIGTERM)
        for process in self.running:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)


@pytest.fixture(scope="module")
def session(tmp_path_factory, quick_store):
    """The section's commands as they stand, up to the one that starts a run."""
    configure, server, pool, worker, deploy, _ = documented("With Prefect")
    assert server == "prefect server start &"
    assert worker == "prefect worker start --pool local &"
    started = Session(tmp_path_factory.mktemp("home"), quick_store)
    try:
        started.run(configure.replace("4200", str(started.port)))
        started.start(server.removesuffix(" &"))
        started.wait_until_up()
        started.run(pool)
        started.start(worker.removesuffix(" &"))
        started.run(deploy)
        yield started
    finally:
        started.close()


def test_the_documented_commands_lead_to_a_judged_bundle(session, tmp_path, same_bundle):
    *_, deployment_run = documented("With Prefect")
    # The documented command runs the demo, which takes minutes: a quick run file stands in for it,
    # a teacher that passes and a student that fails.
    assert deployment_run == "prefect deployment run distill-and-quantize/local-cpu --watch"
    passing = write_run(tmp_path, name="same", student="same")
    out = session.run(
        f"{deployment_run} --param run_file={passing} --param output={tmp_path / 'passed'}"
    )
    assert "Completed" in out
    assert (tmp_path / "passed" / "manifest.json").exists()

    failing = write_run(tmp_path, distill={**QUICK["distill"], "budget": {"steps": 0}})
    session.run(
        f"{deployment_run} --param run_file={failing} --param output={tmp_path / 'failed'}", code=1
    )
    assert (tmp_path / "failed" / "manifest.json").exists()


def test_what_is_made_elsewhere_is_pending_until_a_worker_there_has_made_it(
    session, tmp_path, same_bundle
):
    """No deployment, nobody at work, then a worker: the rest of the bundle is whole each time."""
    run_file = write_run(
        tmp_path, name="same", student="same", targets=["local-cpu", "local-cpu@shelf"]
    )

    def run(wait):
        output = tmp_path / f"bundle{wait}"
        command = "prefect deployment run distill-and-quantize/local-cpu --watch"
        parameters = f"--param run_file={run_file} --param output={output} --param wait={wait}"
        assert "Completed" in session.run(f"{command} {parameters}")
        manifest = open_bundle(output)
        assert manifest["verdict"]["outcome"] == "pass"
        return manifest["engines"]["local-cpu@shelf"], manifest["files"]

    entry, _ = run(1)
    assert (entry["engine"], entry["because"]) == (
        "pending",
        "there is no deployment compile-engine/shelf",
    )
    session.run("prefect work-pool create shelf --type process")
    session.run("prefect --no-prompt deploy --prefect-file flows/devices.yaml --name shelf")
    entry, _ = run(5)
    assert entry["because"] == "no worker of the pool shelf was done within 5 s"
    session.start("prefect worker start --pool shelf --limit 1")
    entry, files = run(200)
    assert "int8" in entry, entry
    assert entry["int8"]["parity"] >= 0.995
    assert "targets/local-cpu@shelf/model.int8.onnx" in files
    # The order that waited was carried out too, or found done; the next run asks nobody.
    again, _ = run(0)
    assert again == entry
