"""Names of architectures, and what can be checked about them without torch."""

import doctest
import subprocess
import sys
from importlib import metadata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from base.errors import InputError
from dfkd.models import ARCHITECTURES
from pipeline.config import architecture_names
from pipeline.config.architecture_names import (
    SET_ELSEWHERE,
    check_architecture,
    code_version,
    kind_and_name,
    library_version,
)
from pipeline.config.run_file import parse_run
from pipeline.config.step_settings import student_network, teacher_network
from pipeline.teachers.config_checks import check_config
from tests.support.quick_run import QUICK, ROOT


def refusal(action):
    with pytest.raises(InputError) as caught:
        action()
    assert str(caught.value).isprintable()
    return str(caught.value)


def run_of(**changes):
    """Return the quick run with some keys of its teacher and student changed."""
    sections = {name: {**QUICK[name], **change} for name, change in changes.items()}
    return parse_run({**QUICK, **sections}, "run.yaml")


@pytest.fixture
def no_libraries(monkeypatch):
    """As if neither torchvision nor timm were installed."""

    def version(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(architecture_names.metadata, "version", version)


def test_examples_in_the_docstrings_are_right():
    assert doctest.testmod(architecture_names).failed == 0


@pytest.mark.parametrize("name", ["resnet18", "", "a:b", "hf-hub:user/model", "../x"])
def test_prefix_decides_whatever_follows_it(name):
    assert kind_and_name(f"timm:{name}") == ("timm", name)
    assert kind_and_name(f"torchvision:{name}") == ("torchvision", name)
    assert kind_and_name(f"timm.models:{name}")[0] == "factory"
    assert kind_and_name(f"torchvision.models:{name}")[0] == "factory"


@given(st.text())
def test_every_name_has_one_kind(name):
    kind, found = kind_and_name(name)
    assert kind in ("registry", "torchvision", "timm", "factory")
    assert name.endswith(found)
    assert (kind == "registry") == (name in ARCHITECTURES)


@pytest.mark.parametrize("library", ["timm", "torchvision"])
def test_missing_library_is_refused_with_the_extra_to_install(library, no_libraries):
    extra = {"timm": "timm", "torchvision": "train"}[library]
    message = f"{library} is not installed; run: pip install 'datafree-edge[{extra}]'"
    run = run_of(student={"architecture": f"{library}:resnet18"})
    for action in (
        lambda: check_architecture(f"{library}:resnet18", 1.0, {}),
        lambda: library_version(library, "x"),
        lambda: check_config(run),
        lambda: student_network(run),
    ):
        assert message in refusal(action)


def test_module_that_hides_the_library_is_refused_without_importing_it(tmp_path, monkeypatch):
    (tmp_path / "timm.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "timm", raising=False)
    line = refusal(lambda: check_architecture("timm:test_resnet", 1.0, {}))
    assert f"{tmp_path / 'timm.py'} hides the library timm; rename it" in line


@pytest.mark.parametrize("section", ["teacher", "student"])
@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"factory_arguments": {"depth": 20}}, "factory_arguments has depth, but a registry"),
        ({"architecture": "resnet50", "width": 0.5}, "width 0.5 is set, but only registry"),
        ({"architecture": "timm:test_vit", "width": 2}, "width 2 is set, but only registry"),
        (
            {"architecture": "mine:net", "factory_arguments": {"num_classes": 3}},
            "factory_arguments has num_classes, which follows from",
        ),
    ],
)
def test_check_refuses_what_an_architecture_does_not_take(section, change, why):
    run = run_of(**{section: change})
    assert why in refusal(lambda: check_config(run))


@pytest.mark.parametrize(("kind", "names"), SET_ELSEWHERE.items())
def test_arguments_that_follow_from_the_run_file_are_refused(kind, names):
    architecture = {"factory": "mine:net"}.get(kind, f"{kind}:resnet18")
    for name in names:
        assert name in refusal(lambda n=name: check_architecture(architecture, 1.0, {n: 1}))
    check_architecture(architecture, 1.0, {"depth": 20})


def test_checks_import_no_torch(tmp_path):
    """They also run where torch is not installed."""
    code = (
        "import sys\n"
        "for name in ('torch', 'torchvision'): sys.modules[name] = None\n"
        "from base.errors import InputError\n"
        "from pipeline.config.run_file import parse_run\n"
        "from pipeline.teachers.config_checks import check_config\n"
        "from tests.support.quick_run import QUICK\n"
        "student = {'architecture': 'lenet5', 'factory_arguments': {'depth': 3}}\n"
        "try: check_config(parse_run({**QUICK, 'student': student}, 'run.yaml'))\n"
        "except InputError as error: print(error)\n"
        "student = {'architecture': 'timm:test_resnet', 'factory_arguments': {'depth': 3}}\n"
        "check_config(parse_run({**QUICK, 'student': student}, 'run.yaml'))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True
    )
    assert "a registry architecture takes no arguments" in done.stdout


@pytest.mark.parametrize("library", ["torchvision", "timm"])
def test_version_of_a_library_changes_the_keys_of_its_networks_only(library, monkeypatch):
    architectures = ["lenet5-half", "timm:test_resnet", "torchvision:resnet18", "resnet50"]
    settings = [run_of(student={"architecture": name}) for name in architectures]
    before = [student_network(run)["definition"] for run in settings]
    version = metadata.version
    monkeypatch.setattr(
        architecture_names.metadata,
        "version",
        lambda name: "99.0" if name == library else version(name),
    )
    after = [student_network(run)["definition"] for run in settings]
    changed = [a for a, old, new in zip(architectures, before, after, strict=True) if old != new]
    own = {"timm": ["timm:test_resnet"], "torchvision": ["torchvision:resnet18", "resnet50"]}
    assert changed == own[library]
    assert all(f"{library} 99.0" in after[architectures.index(name)] for name in changed)


def test_names_without_a_prefix_have_no_code_version():
    """It is in the teacher's fingerprint, which must stay what it was."""
    assert code_version("lenet5") is None
    assert code_version("resnet50") is None
    assert code_version("torchvision:resnet18") == code_version("torchvision.models:resnet18")


def test_settings_without_arguments_and_output_are_those_of_older_versions():
    run = run_of(student={"architecture": "lenet5-half"})
    assert teacher_network(run).keys() == {
        "architecture",
        "width",
        "classes",
        "class_names",
        "definition",
    }
    assert student_network(run).keys() == {"architecture", "width", "definition"}
