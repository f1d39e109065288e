"""Commands of README and docs/ that take minutes, run in a copy of the project."""

import pytest

from pipeline.bundle.opening import open_bundle
from pipeline.releases.release_log import release_history
from pipeline.store.store import Store
from tests.support.checkout import copy_project
from tests.support.marked_blocks import SLOW, groups, named, script
from tests.support.session import Session, free_port

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

GROUPS = groups(SLOW)

DEMO_RUN = "prefect-run"
"""Name of the block that runs the demo on a Prefect worker."""


@pytest.fixture
def session(tmp_path):
    project = copy_project(tmp_path / "project")
    (home := tmp_path / "home").mkdir()
    url = f"http://127.0.0.1:{free_port()}/api"
    opened = Session(home, url, home / "store", folder=project, PYTHONPATH=str(project))
    yield opened
    opened.close()


def run(session, group):
    port = int(session.environment["PREFECT_SERVER_API_PORT"])
    return session.run_script(script(GROUPS[group], port), timeout_s=1500)


@pytest.mark.parametrize("group", sorted(set(GROUPS) - {named(DEMO_RUN).group_id}))
def test_slow_commands_succeed(group, session):
    run(session, group)


def test_the_prefect_commands_release_a_bundle_and_report_a_pending_engine(session):
    assert "Completed" in run(session, named(DEMO_RUN).group_id)
    manifest = open_bundle(session.folder / "bundles" / "mnist-lenet5")
    assert manifest["verdict"]["outcome"] == "pass"
    assert "targets/local-cpu/model.int8.onnx" in manifest["files"]
    released = release_history(Store(session.environment["DATAFREE_EDGE_STORE"]), "mnist-lenet5")
    assert [release.bundle for release in released] == [manifest["bundle"]]

    jetson = "prefect deployment run distill-and-quantize/orin-nano --watch"
    assert "Completed" in session.run(jetson, timeout_s=1500)
    found = [open_bundle(path.parent) for path in session.folder.glob("bundles/*/manifest.json")]
    (entry,) = [bundle["engines"]["orin-nano"] for bundle in found if bundle["engines"]]
    assert entry["engine"] == "pending"
    assert entry["build"].startswith("python -m targets compile BUNDLE --target orin-nano-8")
