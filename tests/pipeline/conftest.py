"""A store, as a folder and as what is no folder."""

import pytest

from pipeline.store.store import Store


@pytest.fixture(params=["folder", "memory"])
def store(request, tmp_path):
    url = str(tmp_path / "store") if request.param == "folder" else f"memory://{tmp_path.name}"
    return Store(url)
