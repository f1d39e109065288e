"""The README's commands, against a real Prefect server and a real worker on loopback."""

import re

import pytest

from pipeline.bundle import open_bundle
from tests.conftest import QUICK, ROOT, write_run
from tests.flows.session import Session, free_port


def documented(heading):
    """The commands of a README section, in order."""
    section = (ROOT / "README.md").read_text().split(f"## {heading}\n")[1].split("\n## ")[0]
    block = re.search(r"```sh\n(.*?)```", section, re.DOTALL).group(1)
    return [line.split("  #")[0].strip() for line in block.splitlines() if line.strip()]


@pytest.fixture(scope="module")
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

    def run(wait, deployment="local-cpu", target="local-cpu@shelf"):
        output = tmp_path / f"bundle-{target}-{wait}"
        command = f"prefect deployment run distill-and-quantize/{deployment} --watch"
        parameters = f"--param run_file={run_file} --param output={output} --param wait={wait}"
        assert "Completed" in session.run(f"{command} {parameters}")
        manifest = open_bundle(output)
        assert manifest["verdict"]["outcome"] == "pass"
        return manifest["engines"][target], manifest["files"]

    entry, _ = run(1)
    assert (entry["engine"], entry["because"]) == (
        "pending",
        "there is no deployment compile-engine/shelf",
    )
    entry, _ = run(1, "orin-nano", "orin-nano")
    assert entry["because"] == "there is no deployment compile-engine/orin-nano-8"
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
