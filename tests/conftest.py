"""A bundle and a store that many tests share, also between pytest-xdist's workers."""

import os

WORKER = os.environ.get("PYTEST_XDIST_WORKER")
if WORKER:
    # torch reads this when it is imported. Workers with one thread each do not compete for cores.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest  # noqa: E402
from hypothesis import settings  # noqa: E402

from base.file_lock import folder_lock  # noqa: E402
from tests.support.quick_run import write_run  # noqa: E402

# `pytest --hypothesis-profile=slow` tries more examples of each property. They have no deadline,
# because a busy machine must not fail a property.
settings.register_profile("quick", max_examples=15, deadline=None)
settings.register_profile("slow", max_examples=300, deadline=None)
settings.load_profile("quick")


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory):
    """A folder that all workers of one test run share."""
    own = tmp_path_factory.getbasetemp()
    (folder := (own.parent if WORKER else own) / "shared").mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def quick_store(shared_folder):
    """A store that all tests share."""
    return shared_folder / "store"


@pytest.fixture(scope="session")
def same_bundle(shared_folder, quick_store):
    """A bundle of the example teacher, quantized without distillation: a good student in seconds.

    The first worker that needs it builds it; the others wait for it.
    """
    from pipeline.config.run_file import read_run_file
    from pipeline.run import execute
    from pipeline.store.store import Store
    from pipeline.training.progress import LineReporter

    bundle = shared_folder / "same" / "bundle"
    with folder_lock(bundle.parent, print):
        if not (bundle / "manifest.json").exists():
            bundle.parent.mkdir(exist_ok=True)
            config = read_run_file(write_run(bundle.parent, name="same", student="same"))
            execute(config, Store(str(quick_store)), bundle, LineReporter(print))
    return bundle
