"""What many tests need: a quick run file and the bundle it leads to."""

import pytest
from hypothesis import settings

from tests.support.quick_run import write_run

# `pytest --hypothesis-profile=slow` tries more examples of every property.
settings.register_profile("quick", max_examples=15)
settings.register_profile("slow", max_examples=300)
settings.load_profile("quick")


@pytest.fixture(scope="session")
def quick_store(tmp_path_factory):
    """A store that the tests of a session share, as a user's runs do."""
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="session")
def same_bundle(tmp_path_factory, quick_store):
    """A bundle of the example teacher quantized as it is: a good student, had quickly."""
    from pipeline.config.run_file import read_run_file
    from pipeline.run import execute
    from pipeline.store.store import Store
    from pipeline.training.progress import LineReporter

    folder = tmp_path_factory.mktemp("same")
    run_file = write_run(folder, name="same", student="same")
    config = read_run_file(run_file)
    execute(config, Store(str(quick_store)), folder / "bundle", LineReporter(print))
    return folder / "bundle"
