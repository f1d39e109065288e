"""A sweep: one run for every combination."""

import json

import pytest

from pipeline.releases.release_log import release_names
from pipeline.store.store import Store
from tests.support.quick_run import write_run

pytestmark = pytest.mark.server

ROWS = """
import json
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey
with get_client(sync_client=True) as client:
    by_key = ArtifactFilter(key=ArtifactFilterKey(any_=["sweep"]))
    (artifact,) = client.read_artifacts(artifact_filter=by_key)
    print(artifact.data)
"""


@pytest.mark.slow
def test_every_combination_is_run(session, tmp_path, same_bundle):
    """A student that passes and one that fails, each for this CPU and for another one."""
    run_file = write_run(tmp_path, name="swept")
    chosen = {"run_files": [str(run_file)], "students": ["same", "lenet5-half"]}
    parameters = json.dumps({**chosen, "targets": ["local-cpu", "arm"]})
    session.run(f"prefect deployment run sweep/sweep --watch --params '{parameters}'", code=1)
    (script := session.home / "rows.py").write_text(ROWS)
    rows = json.loads(session.run(f"python {script}"))
    states = {(row["student"], row["target"]): row["state"] for row in rows}
    # The verdict is about this CPU, whatever other targets a run has.
    assert {states[("same", target)] for target in ("local-cpu", "arm")} == {"Completed"}, rows
    assert len(states) == 4
    assert {states[("lenet5-half", target)] for target in ("local-cpu", "arm")} == {"Fail"}
    store = Store(session.environment["DATAFREE_EDGE_STORE"])
    assert {"swept.same", "swept.same.arm"} <= set(release_names(store))
