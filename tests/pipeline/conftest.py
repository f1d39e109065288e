"""A store in a folder, and a store in memory."""

import pytest

from pipeline.store.store import Store


@pytest.fixture(params=["folder", "memory"])
def store(request, tmp_path):
    url = str(tmp_path / "store") if request.param == "folder" else f"memory://{tmp_path.name}"
    return Store(url)
