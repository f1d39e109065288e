"""A real Prefect server and a real worker, as the README starts them."""

import re

import pytest

from tests.support.quick_run import ROOT
from tests.support.session import Session, free_port


def documented(heading):
    """The commands of a README section, in order."""
    section = (ROOT / "README.md").read_text().split(f"## {heading}\n")[1].split("\n## ")[0]
    block = re.search(r"```sh\n(.*?)```", section, re.DOTALL).group(1)
    return [line.split("  #")[0].strip() for line in block.splitlines() if line.strip()]


@pytest.fixture(scope="package")
def session(tmp_path_factory, quick_store):
    """The section's commands as they stand, up to the one that starts a run."""
    configure, server, pool, worker, deploy, _ = documented("With Prefect")
    assert server == "prefect server start &"
    assert worker == "prefect worker start --pool local &"
    port = free_port()
    started = Session(tmp_path_factory.mktemp("home"), f"http://127.0.0.1:{port}/api", quick_store)
    try:
        started.run(configure.replace("4200", str(port)))
        started.start(server.removesuffix(" &"))
        started.wait_until_up()
        started.run(pool)
        started.start(worker.removesuffix(" &"))
        started.run(deploy)
        yield started
    finally:
        started.close()
