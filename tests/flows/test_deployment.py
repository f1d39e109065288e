"""Runs of the deployments, on a real Prefect server with a real worker."""

import os
import re
import signal
import subprocess

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.settings import PREFECT_API_URL, PREFECT_LOGGING_TO_API_ENABLED, temporary_settings

from flows import distill_and_quantize as flows
from flows.support.installed import NEEDED
from pipeline.bundle.opening import open_bundle
from pipeline.releases.release_log import release_history
from pipeline.store.store import Store
from tests.support.interpreters import python_without
from tests.support.marked_blocks import commands, named
from tests.support.quick_run import QUICK, ROOT, write_run

pytestmark = pytest.mark.server


def unwrapped(output):
    """Return an output without the line breaks that fit it to a terminal."""
    return " ".join(output.split())


def test_the_documented_run_makes_a_bundle_with_a_verdict(session, tmp_path, same_bundle):
    # The documented command runs the demo, which takes minutes; two quick runs replace it here: a
    # student that passes and one that fails.
    (deployment_run,) = commands(named("prefect-run"))
    assert deployment_run == "prefect deployment run distill-and-quantize/local-cpu --watch"
    passing = write_run(tmp_path, name="same", student="same")
    out = session.run(
        f"{deployment_run} --param run_file={passing} --param output={tmp_path / 'passed'}"
    )
    assert "Completed" in out
    passed = open_bundle(tmp_path / "passed")["bundle"]
    store = Store(session.environment["DATAFREE_EDGE_STORE"])
    assert release_history(store, "same")[-1].bundle == passed

    shown = {
        kind: session.run(f"prefect artifact inspect {kind}-same{target}")
        for kind, target in (("verdict", ""), ("stages", ""), ("layers", "-local-cpu"))
    }
    pictures = session.run("prefect artifact inspect pictures-same").replace("\n", "")
    assert str(tmp_path / "passed" / "report.html") in re.sub(r"\s", "", pictures)
    assert "synthetic probes" in shown["verdict"]
    assert "quantize" in shown["stages"]
    assert "QLinearConv" in shown["layers"]

    failing = write_run(tmp_path, distill={**QUICK["distill"], "budget": {"steps": 0}})
    out = session.run(
        f"{deployment_run} --param run_file={failing} --param output={tmp_path / 'failed'}", code=1
    )
    assert re.search(r"Finished in state (Fail|Inconclusive)\('.*agreement.*next: ", unwrapped(out))
    assert open_bundle(tmp_path / "failed")["verdict"]["outcome"] != "pass"
    assert release_history(store, "quick") == []


def test_a_remote_engine_is_pending_until_a_worker_builds_it(session, tmp_path, same_bundle):
    """No deployment, then no worker, then a worker, then none again; the bundle is whole each time.

    The remote device is the pool `shelf`, whose worker runs on this machine.
    """
    run_file = write_run(
        tmp_path, name="same", student="same", targets=["local-cpu", "local-cpu@shelf"]
    )

    def run(wait, deployment="local-cpu", target="local-cpu@shelf"):
        output = tmp_path / f"bundle-{target}-{wait}"
        command = f"prefect deployment run distill-and-quantize/{deployment} --watch"
        parameters = f"--param run_file={run_file} --param output={output} --param wait={wait}"
        shown = session.run(f"{command} {parameters}")
        manifest = open_bundle(output)
        pending = manifest["engines"][target].get("engine") == "pending"
        assert ("Pending engine" if pending else "Completed") in shown
        assert manifest["verdict"]["outcome"] == "pass"
        return manifest["engines"][target], manifest["files"]

    entry, _ = run(1)
    assert (entry["engine"], entry["because"]) == (
        "pending",
        "no engine from the pool shelf: no deployment compile-engine/shelf; "
        "deploy it from flows/devices.yaml",
    )
    entry, _ = run(1, "orin-nano", "orin-nano")
    assert "no deployment compile-engine/orin-nano-8" in entry["because"]
    session.run("prefect work-pool create shelf --type process")
    session.run("prefect --no-prompt deploy --prefect-file flows/devices.yaml --name shelf")
    entry, _ = run(5)
    assert entry["because"] == "no worker of the pool shelf finished within 5 s"
    worker = session.start("prefect worker start --pool shelf --limit 1")
    entry, files = run(200)
    assert "int8" in entry, entry
    assert entry["int8"]["parity"] >= 0.995
    assert "targets/local-cpu@shelf/model.int8.onnx" in files
    # The worker is asked each time, and answers that nothing has changed: nothing is built again.
    again, _ = run(201)
    assert again == entry
    store = Store(session.environment["DATAFREE_EDGE_STORE"])
    assert len(release_history(store, "same@local-cpu@shelf")) == 1
    # A worker may take more than a minute to end after SIGTERM.
    os.killpg(worker.pid, signal.SIGKILL)
    worker.wait()
    unverified, files = run(1)
    assert unverified.pop("unasked") == "no worker of the pool shelf finished within 1 s"
    assert unverified == entry
    assert "targets/local-cpu@shelf/model.int8.onnx" in files


def test_watch_ends_with_the_reason_if_the_run_has_an_error(session, tmp_path):
    run_file = write_run(tmp_path, teacher={**QUICK["teacher"], "weights": "no.safetensors"})
    command = "prefect deployment run distill-and-quantize/member --watch"
    out = session.run(f"{command} --param run_file={run_file}", code=1)
    ending = unwrapped(out).partition("Finished in state Failed")[2]
    # Prefect breaks lines within words, too.
    assert "no.safetensors:nosuchfile" in ending.replace(" ", "")


def test_watch_ends_when_the_run_is_cancelled(session, tmp_path):
    distill = {**QUICK["distill"], "budget": {"steps": 100_000}}
    run_file = write_run(tmp_path, name="cancelled", seed=6, distill=distill)
    command = "prefect deployment run distill-and-quantize/member --watch"
    output = tmp_path / "bundle"
    watching = session.start(f"{command} --param run_file={run_file} --param output={output}")
    log = session.home / f"{len(session.running) - 1}.log"
    # The step holds no lock that another test waits for: no other run has its seed.
    distils = "prefect.task-run.Running * distill"
    session.wait_until(lambda: distils in unwrapped(log.read_text()))
    (run,) = re.findall(r"UUID: (\S+)", log.read_text())
    session.run(f"prefect flow-run cancel {run}")
    assert watching.wait(100) == 1
    assert "finished in state 'Cancelled'" in unwrapped(log.read_text())
    assert not output.exists()


def test_a_worker_whose_python_lacks_the_project_says_so_in_one_line(session, tmp_path):
    python = python_without(NEEDED, tmp_path / "bare")
    line = f"{python} has no {', '.join(NEEDED)}; start the worker with a Python in which"
    for flow in ("sweep", "watch_teachers"):
        done = subprocess.run(
            [python, "-c", f"import flows.{flow}"], cwd=ROOT, capture_output=True, text=True
        )
        assert done.stderr.splitlines()[-1].startswith(f"base.errors.InputError: worker: {line}")
    with temporary_settings({PREFECT_API_URL: session.url}), get_client(sync_client=True) as client:
        client.create_work_pool(WorkPoolCreate(name="bare", type="process"))
        member = client.read_deployment_by_name("distill-and-quantize/member")
        copied = member.model_dump(include={"flow_id", "entrypoint", "pull_steps"})
        client.create_deployment(name="bare", work_pool_name="bare", **copied)
    # Started in another folder than the project's.
    worker = session.start(f"env --chdir={tmp_path} {python} -m prefect worker start --pool bare")
    try:
        out = session.run("prefect deployment run distill-and-quantize/bare --watch", code=1)
    finally:
        os.killpg(worker.pid, signal.SIGKILL)
        worker.wait()
    assert re.sub(r"\s", "", line) in re.sub(r"\s", "", out)


def test_each_forced_run_has_a_new_seed(session, tmp_path, monkeypatch):
    seeds = []

    def record_seed(config, *_):
        seeds.append(config.seed)
        return {"verdict": None}

    monkeypatch.setattr(flows, "_run", record_seed)
    run_file, output = str(write_run(tmp_path, seed=5)), str(tmp_path / "bundle")
    with temporary_settings({PREFECT_API_URL: session.url, PREFECT_LOGGING_TO_API_ENABLED: False}):
        for force in (False, True, True, False):
            flows.distill_and_quantize(run_file, force=force, output=output)
    given, first, second, again = seeds
    assert given == again == 5
    assert len({given, first, second}) == 3
