"""A run for every combination, each on the pool's worker."""

import json

import pytest

from pipeline.releases.releases import names
from pipeline.store.store import Store
from tests.support.quick_run import write_run

pytestmark = pytest.mark.server

ROWS = """
import json
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey
with get_client(sync_client=True) as client:
    wanted = ArtifactFilter(key=ArtifactFilterKey(any_=["sweep"]))
    (artifact,) = client.read_artifacts(artifact_filter=wanted)
    print(artifact.data)
"""


def test_a_run_for_every_combination(session, tmp_path, same_bundle):
    """A student that passes and one that fails, each on its own and for another CPU."""
    run_file = write_run(tmp_path, name="swept")
    chosen = {"run_files": [str(run_file)], "students": ["same", "lenet5-half"]}
    parameters = json.dumps({**chosen, "targets": ["local-cpu", "arm"]})
    session.run(f"prefect deployment run sweep/sweep --watch --params '{parameters}'", code=1)
    (script := session.home / "rows.py").write_text(ROWS)
    rows = json.loads(session.run(f"python {script}"))
    found = {(row["student"], row["target"]): row["state"] for row in rows}
    # The verdict is of this CPU, whatever else a run is for.
    assert {found[("same", target)] for target in ("local-cpu", "arm")} == {"Completed"}, rows
    assert len(found) == 4
    assert {found[("lenet5-half", target)] for target in ("local-cpu", "arm")} == {"Fail"}
    store = Store(session.environment["DATAFREE_EDGE_STORE"])
    assert {"swept.same", "swept.same.arm"} <= set(names(store))
