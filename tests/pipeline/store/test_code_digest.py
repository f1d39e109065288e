"""The digest of code changes with what the code does, and with nothing else."""

import sys

import pytest

from base.errors import InputError
from pipeline.store import code_digest as module
from pipeline.store.code_digest import closure, code_digest, factory_digest


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of four modules; `package.write(name, text)` changes one."""
    folder = tmp_path / "madeup"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "a.py").write_text("from madeup import b\n")
    (folder / "b.py").write_text("import madeup.c\n")
    (folder / "c.py").write_text("X = 1\n")
    (folder / "unrelated.py").write_text("Y = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(module, "PACKAGES", ("madeup",))
    monkeypatch.delitem(sys.modules, "madeup", raising=False)
    yield folder
    sys.modules.pop("madeup", None)


def digest_of(*names):
    for cached in (module._tree, module._imports, module._module_text, module._find):
        cached.cache_clear()
    return code_digest(*names)


def test_digest_follows_imports_at_any_depth(package):
    before = digest_of("madeup.a")
    (package / "unrelated.py").write_text("Y = 2\n")
    assert digest_of("madeup.a") == before
    (package / "c.py").write_text("X = 2\n")
    assert digest_of("madeup.a") != before


def test_digest_covers_a_json_file_beside_a_module(package):
    before = digest_of("madeup.a")
    (package / "c.json").write_text('{"x": 1, "y": 2}')
    with_table = digest_of("madeup.a")
    assert with_table != before
    (package / "c.json").write_text('{"y": 2,\n "x": 1}')
    assert digest_of("madeup.a") == with_table


def test_digest_covers_added_modules(package):
    assert digest_of("madeup.a") != digest_of("madeup.a", "madeup.unrelated")


INITS = [
    "from madeup.c import X\n",
    "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from madeup.c import X\n",
    "__getattr__ = lazy_names(__name__, {'X': 'c', 'Y': 'unrelated'})\n",
    "_LAZY = {'X': 'madeup.c:X', 'Y': 'madeup.unrelated:Y'}\n",
]


@pytest.mark.parametrize("init", INITS)
def test_name_from_a_package_is_followed_to_its_module(package, init):
    (package / "__init__.py").write_text(init)
    (package / "a.py").write_text("from madeup import X\n")
    digest_of("madeup.a")
    assert closure("madeup.a") == {"madeup.a", "madeup.c"}


def test_name_that_a_package_defines_makes_its_init_count(package):
    (package / "__init__.py").write_text("X = 1\n")
    (package / "a.py").write_text("from madeup import X\n")
    digest_of("madeup.a")
    assert closure("madeup.a") == {"madeup.a", "madeup"}


def test_whole_package_has_all_that_it_passes_on(package):
    (package / "__init__.py").write_text(INITS[2])
    (package / "a.py").write_text("import madeup\n")
    digest_of("madeup.a")
    assert closure("madeup.a") == {"madeup.a", "madeup", "madeup.c", "madeup.unrelated"}


SAME = [
    ("a comment", "def f():\n    return 1  # one\n"),
    ("a docstring", 'def f():\n    """Return one."""\n    return 1\n'),
    ("a docstring of the module", '"""One."""\n\ndef f():\n    return 1\n'),
    ("formatting", "def f(\n):\n    return (1)\n"),
    ("type checking", "if TYPE_CHECKING:\n    from madeup import b\ndef f():\n    return 1\n"),
]


@pytest.mark.parametrize(("what", "text"), SAME, ids=[what for what, _ in SAME])
def test_digest_ignores_what_does_not_run(package, what, text):
    (package / "c.py").write_text("def f():\n    return 1\n")
    before = digest_of("madeup.c")
    (package / "c.py").write_text(text)
    assert digest_of("madeup.c") == before
    assert closure("madeup.c") == {"madeup.c"}


MESSAGES = [
    ("raise ValueError('one')", "raise ValueError('two')", True),
    ("raise ValueError('one')", "raise ValueError(f'{x} is wrong')", True),
    ("raise ValueError('one') from None", "raise ValueError('two') from None", True),
    ("raise ValueError('one')", "raise TypeError('one')", False),
    ("context.reporter.say('one')", "context.reporter.say(f'{x:.2f}')", True),
    ("reporter.phase('one', 1, 2, {})", "reporter.phase('two', 1, 2, {})", True),
    ("self.reporter.say('one')", "self.reporter.show('one')", False),
    ("say('one')", "say('two')", False),
    ("other.say('one')", "other.say('two')", False),
    ("x = 'one'", "x = 'two'", False),
    ("x = f'one {x}'", "x = f'two {x}'", False),
    ("x = 1", "x = 1.0", False),
    ("x = 1", "x = True", False),
    ("x = b'1'", "x = '1'", False),
    ("if x: raise ValueError('one')", "if y: raise ValueError('one')", False),
]


@pytest.mark.parametrize(("before", "after", "same"), MESSAGES)
def test_digest_ignores_only_literals_of_errors_and_reporter_calls(package, before, after, same):
    (package / "c.py").write_text(before)
    digest = digest_of("madeup.c")
    (package / "c.py").write_text(after)
    assert (digest_of("madeup.c") == digest) == same


STEP = """
from madeup import unrelated
from madeup.b import helper

LIMIT = {limit}

def _settings(config):
    return {settings}

STEP = Step(settings=_settings)

def _count():
    return LIMIT

def run(context):
    from madeup import c
    return _count()
"""


def test_digest_of_a_step_covers_run_and_what_it_uses(package):
    step = package / "step.py"
    step.write_text(STEP.format(limit=1, settings="unrelated.Y"))
    before = digest_of("madeup.step")
    assert closure("madeup.step") == {"madeup.step", "madeup.c"}
    step.write_text(STEP.format(limit=1, settings="helper(2)"))
    assert digest_of("madeup.step") == before
    step.write_text(STEP.format(limit=2, settings="unrelated.Y"))
    assert digest_of("madeup.step") != before


def test_steps_cover_the_code_that_they_run_and_no_more():
    training = {"dfkd.training.loop", "pipeline.training.resumable_training"}
    assert training <= closure("pipeline.steps.distill")
    for step in ("teacher", "export", "hops", "compile", "validate"):
        covered = closure(f"pipeline.steps.{step}")
        assert not [name for name in covered if name.startswith("dfkd.training")], step
        assert not [name for name in covered if name.startswith("pipeline.training")], step


@pytest.mark.parametrize("step", ["distill", "quantize", "export", "probe", "validate"])
def test_progress_and_metrics_belong_to_no_step(step):
    names = closure(f"pipeline.steps.{step}")
    assert not names & {
        "pipeline.training.progress",
        "pipeline.training.metrics",
        "pipeline.reporter",
        "pipeline.config.schema",
    }


def test_factory_is_identified_by_the_code_of_its_package(package):
    before = factory_digest("madeup.a:X")
    (package / "c.py").write_text("X = 1  # a comment\n")
    assert factory_digest("madeup.a:X") == before
    (package / "c.py").write_text("X = 3\n")
    assert factory_digest("madeup.a:X") != before


def test_factory_in_a_single_module_is_identified_by_its_code(package, tmp_path):
    (tmp_path / "alone.py").write_text("X = 1\n")
    before = factory_digest("alone:X")
    (tmp_path / "alone.py").write_text('"""A docstring."""\nX = 1\n')
    assert factory_digest("alone:X") == before
    (tmp_path / "alone.py").write_text("X = 2\n")
    assert factory_digest("alone:X") != before


def test_factory_that_this_python_cannot_parse_is_identified_by_its_bytes(package):
    (package / "c.py").write_text("print 1\n")
    before = factory_digest("madeup.a:X")
    (package / "c.py").write_text("print 2\n")
    assert factory_digest("madeup.a:X") != before


def test_factory_of_a_distribution_is_identified_by_its_version():
    assert factory_digest("torchvision.models:resnet18").startswith("torchvision ")


def test_architecture_by_name_has_no_factory_digest():
    assert factory_digest("lenet5") is None


def test_factory_in_a_missing_module_is_an_input_error():
    with pytest.raises(InputError, match="no module"):
        factory_digest("nowhere.at_all:X")
