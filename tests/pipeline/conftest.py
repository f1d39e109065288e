"""A store in a folder, a store in memory, and quantizers without compiled kernels."""

import sys

import pytest

from pipeline.store.store import Store


@pytest.fixture(params=["folder", "memory"])
def store(request, tmp_path):
    url = str(tmp_path / "store") if request.param == "folder" else f"memory://{tmp_path.name}"
    return Store(url)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    """Let quick tests use the reference kernels: compiling the others takes minutes.

    A hook, because fixtures of a module are made before those of a test.
    """
    module = sys.modules.get("pipeline.quantization.fake_quantizers")
    marks = {mark.name for mark in item.iter_markers()}
    if module is None or marks & {"server", "slow"}:
        return (yield)
    with pytest.MonkeyPatch.context() as patch:
        chosen = module.use_kernels
        patch.setattr(module, "use_kernels", lambda device, _: chosen(device, "reference"))
        return (yield)
