import sys

import pytest

from base.errors import InputError
from pipeline.store import code_digest as sources
from pipeline.store.code_digest import factory_digest, source_digest


@pytest.fixture
def package(tmp_path, monkeypatch):
    folder = tmp_path / "madeup"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "a.py").write_text("from madeup import b\n")
    (folder / "b.py").write_text("import madeup.c\n")
    (folder / "c.py").write_text("X = 1\n")
    (folder / "apart.py").write_text("Y = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sources, "OURS", ("madeup",))
    monkeypatch.delitem(sys.modules, "madeup", raising=False)
    yield folder
    sys.modules.pop("madeup", None)


def digest_of(module):
    source_digest.cache_clear()
    sources._imports.cache_clear()
    return source_digest(module)


def test_follows_imports_at_any_depth_and_no_further(package):
    before = digest_of("madeup.a")
    (package / "apart.py").write_text("Y = 2\n")
    assert digest_of("madeup.a") == before
    (package / "c.py").write_text("X = 2\n")
    assert digest_of("madeup.a") != before


def test_the_steps_depend_on_the_science_they_run():
    closure = sources._closure("pipeline.steps.distill")
    assert {
        "dfkd.training.loop",
        "dfkd.terms",
        "dfkd.recipes.house",
        "pipeline.training.resumable_training",
    } <= closure
    assert "dfkd.training.loop" not in sources._closure("pipeline.steps.validate")


def test_a_factory_is_known_by_the_sources_of_its_package(package):
    before = factory_digest("madeup.a:X")
    (package / "c.py").write_text("X = 3\n")
    assert factory_digest("madeup.a:X") != before
    assert factory_digest("lenet5") is None
    assert factory_digest("torchvision.models:resnet18").startswith("torchvision ")
    with pytest.raises(InputError, match="no module"):
        factory_digest("nowhere.at_all:X")
