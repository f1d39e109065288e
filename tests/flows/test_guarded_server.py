"""A server for a team: with PostgreSQL and a password."""

import os
import shutil
import subprocess
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from pipeline.bundle.opening import open_bundle
from tests.support.quick_run import write_run
from tests.support.session import Session, free_port

pytestmark = pytest.mark.server

PASSWORD = "user:password"

DATABASE = "PREFECT_SERVER_DATABASE_CONNECTION_URL"

LEASES = {
    "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": (
        "prefect.server.concurrency.lease_storage.filesystem"
    )
}


def as_nobody(*command):
    """Run a command as another user than root, which PostgreSQL requires."""
    prefix = ["runuser", "-u", "nobody", "--"] if os.geteuid() == 0 else []
    subprocess.run([*prefix, *command], check=True, capture_output=True, cwd="/")


@pytest.fixture
def postgresql():
    """Start a new database; yield its URL for Prefect."""
    if shutil.which("initdb") is None or shutil.which("pg_ctl") is None:
        pytest.skip("PostgreSQL is not installed")
    # pytest's own temporary folders can be entered only by their owner.
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        data, port = f"{folder}/data", free_port()
        as_nobody("initdb", "-D", data, "-U", "prefect", "-A", "trust")
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder}"
        as_nobody("pg_ctl", "-D", data, "-w", "-l", f"{folder}/log", "-o", options, "start")
        yield f"postgresql+asyncpg://prefect@127.0.0.1:{port}/postgres"
        as_nobody("pg_ctl", "-D", data, "-m", "immediate", "stop")


def test_a_run_on_a_server_with_postgresql_and_a_password(
    postgresql, tmp_path, quick_store, same_bundle
):
    url = f"http://127.0.0.1:{free_port()}/api"
    access = {"PREFECT_API_URL": url, "PREFECT_SERVER_API_AUTH_STRING": PASSWORD}
    team = {**access, **LEASES, DATABASE: postgresql, "PREFECT_API_AUTH_STRING": PASSWORD}
    (home := tmp_path / "home").mkdir()
    session = Session(home, url, quick_store, **team)
    (other := tmp_path / "stranger").mkdir()
    stranger = Session(other, url, quick_store, PREFECT_API_URL=url)
    try:
        session.serve()
        session.start("prefect worker start --pool local")
        run_file = write_run(tmp_path, name="same", student="same")
        command = "prefect deployment run distill-and-quantize/local-cpu --watch"
        output = tmp_path / "bundle"
        out = session.run(f"{command} --param run_file={run_file} --param output={output}")
        assert "Completed" in out
        assert open_bundle(output)["verdict"]["outcome"] == "pass"
        stranger.run("prefect deployment ls", code=1)
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(f"{url}/version", timeout=10)
        assert not (home / "prefect" / "prefect.db").exists()
    finally:
        session.close()
