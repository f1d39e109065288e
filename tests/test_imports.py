"""What can be imported without torch, and what the wheel contains."""

import shutil
import subprocess
import sys
import zipfile

import pytest

from tests.support.quick_run import ROOT

DEVICE_MODULES = [
    "targets.lint.linter",
    "targets.cpu.session",
    "targets.bundle.golden",
    "pipeline.store.store",
    "pipeline.bundle.writing",
    "pipeline.config.schema",
    "targets.bundle.verdict",
    "pipeline.bundle.revalidation",
    "pipeline.cli",
    "pipeline.chain",
]


def test_device_modules_import_without_torch_and_prefect():
    """One process for all modules: a blocked import fails whichever module needs it."""
    code = (
        "import sys\n"
        "for name in ('torch', 'torchvision', 'nncf', 'prefect'): sys.modules[name] = None\n"
        + "".join(f"import {module}\n" for module in DEVICE_MODULES)
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


@pytest.mark.server
def test_wheel_contains_only_the_five_packages(tmp_path):
    # setuptools writes a build folder into the tree, and packs what an older one contains.
    copy = tmp_path / "copy"
    ignore = shutil.ignore_patterns(".*", "build", "bundles", "*.egg-info", "__pycache__")
    shutil.copytree(ROOT, copy, ignore=ignore)
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"),
            *("--no-build-isolation", "--wheel-dir", str(tmp_path), str(copy)),
        ],
        check=True,
    )
    names = zipfile.ZipFile(next(tmp_path.glob("*.whl"))).namelist()
    tops = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    assert tops == {"base", "pipeline", "dfkd", "targets", "flows"}
    assert "pipeline/bundle/templates/report.html" in names
    assert "pipeline/user_images/templates/score.html" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)


@pytest.mark.server
def test_torchvision_imports_with_a_cpu_build_of_torch():
    code = (
        "from pipeline.teachers.torchvision_on_cpu import import_torchvision as i\n"
        "assert i().models.get_model('resnet18', num_classes=3).fc.out_features == 3\n"
        "i()\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_packages_do_not_mention_benchmarks():
    for package in ("base", "pipeline", "dfkd", "targets", "flows"):
        for path in (ROOT / package).rglob("*.py"):
            text = path.read_text()
            assert "benchmarks" not in text, path
            assert "shared/" not in text, path
