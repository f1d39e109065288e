"""Runs of the deployments, on a real Prefect server with a real worker."""

import os
import re
import signal

import pytest
from prefect.settings import PREFECT_API_URL, PREFECT_LOGGING_TO_API_ENABLED, temporary_settings

from flows import distill_and_quantize as flows
from pipeline.bundle.opening import open_bundle
from pipeline.releases.release_log import release_history
from pipeline.store.store import Store
from tests.support.marked_blocks import commands, named
from tests.support.quick_run import QUICK, write_run

pytestmark = pytest.mark.server


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
    session.run(
        f"{deployment_run} --param run_file={failing} --param output={tmp_path / 'failed'}", code=1
    )
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
