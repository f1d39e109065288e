"""The device packages in separate environments: as the guide installs them, and minimal."""

import os
import shutil
import subprocess

import pytest

from tests.support.interpreters import interpreter
from tests.support.marked_blocks import commands, named
from tests.support.quick_run import ROOT

pytestmark = pytest.mark.slow

CONSTRAINTS = {
    "3.10": "constraints-device.txt",
    "3.11": "constraints.txt",
    "3.12": "constraints-device.txt",
}
"""JetPack 6 has Python 3.10, JetPack 7 has 3.12."""

ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


def installed(python, *options):
    """Return names and versions of an environment's packages."""
    listed = subprocess.run(
        [python, "-m", "pip", "list", "--format=freeze", *options],
        check=True,
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
    )
    return dict(line.partition("==")[::2] for line in listed.stdout.splitlines())


@pytest.fixture(params=CONSTRAINTS)
def bare(request, tmp_path):
    """Return a function that runs `python -m targets` in an environment with three packages."""
    python = interpreter(request.param)
    subprocess.run([python, "-m", "venv", tmp_path / "venv"], check=True)
    venv_python = tmp_path / "venv" / "bin" / "python"
    constraints = ROOT / CONSTRAINTS[request.param]
    command = [*("-m", "pip", "install", "--quiet", "--constraint", constraints)]
    subprocess.run(
        [venv_python, *command, "numpy", "onnx", "onnxruntime"], check=True, env=ENVIRONMENT
    )
    assert not {"torch", "prefect", "pydantic", "typer"} & installed(venv_python).keys()

    def _run(*arguments):
        done = subprocess.run(
            [venv_python, "-m", "targets", *map(str, arguments)],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8"},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    return _run


def test_commands_work_with_three_packages(bare, same_bundle, tmp_path):
    bundle = shutil.copytree(same_bundle, tmp_path / "bundle")
    code, output = bare("list")
    assert (code, "orin-nano-8 (orin-nano)" in output) == (0, True), output
    code, output = bare("lint", bundle / "graphs" / "student.int8.onnx")
    assert (code, "0 errors" in output) == (0, True), output
    code, output = bare("compile", bundle, "--target", "local-cpu")
    assert (code, "int8" in output) == (0, True), output
    assert (bundle / "built" / "local-cpu" / "report.json").exists()
    code, output = bare("selftest", "--dry-run")
    assert (code, "student.int8-fp16.onnx" in output) == (0, True), output
    code, output = bare("compile", bundle, "--target", "orin-nano")
    assert (code, "this machine is not a Jetson" in output) == (1, True), output


def install_command():
    """Return the install command of the guide."""
    clone, command = commands(named("install-device"))
    assert clone.startswith("git clone ")
    return command.split()


def normalized(name):
    """Return a package name in the spelling that pip and the constraints share."""
    return name.lower().replace("-", "_")


def pinned():
    """Return the versions in constraints-device.txt by package name."""
    lines = (ROOT / "constraints-device.txt").read_text().splitlines()
    pairs = (line.split("==") for line in lines if not line.startswith("#"))
    return {normalized(name): version for name, version in pairs}


@pytest.fixture(params=["3.10", "3.12"])
def device(request, tmp_path):
    """Install a clone with the guide's command; return the clone and a function that runs in it."""
    python = interpreter(request.param)
    clone = tmp_path / "clone"
    left_out = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "build", "results")
    shutil.copytree(ROOT, clone, ignore=left_out)
    # The user's packages replace the system's: an environment sees both or neither.
    user = tmp_path / "user"
    system = user / "lib" / f"python{request.param}" / "site-packages" / "tensorrt"
    system.mkdir(parents=True)
    (system / "__init__.py").write_text('__version__ = "10.3.0"\n')
    environment = {**ENVIRONMENT, "PYTHONUSERBASE": str(user)}
    command = [*install_command(), f"PYTHON={python}"]
    subprocess.run(command, cwd=clone, env=environment, check=True, capture_output=True)

    def _run(program, *arguments):
        done = subprocess.run(
            [clone / ".venv" / "bin" / program, *arguments],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    return clone, _run


def test_install_command_of_the_guide_installs_a_worker_with_system_tensorrt(device):
    clone, run = device
    packages = installed(clone / ".venv" / "bin" / "python", "--local")
    assert not {"torch", "nncf"} & packages.keys()
    ignored = {"pip", "setuptools", "datafree-edge"}
    versions = {
        normalized(name): version for name, version in packages.items() if name not in ignored
    }
    assert versions.items() <= pinned().items()
    code, output = run("python", "-c", "import flows.compile_engine")
    assert (code, output) == (0, "")
    script = "from targets.tensorrt.builders.bindings import find_bindings; print(find_bindings())"
    code, output = run("python", "-c", script)
    assert (code, output) == (0, "Bindings(version=(10, 3, 0))\n")
    code, output = run("prefect", "worker", "start", "--help")
    assert (code, "--pool" in output) == (0, True), output
    code, output = run("python", "-m", "targets", "selftest", "--dry-run")
    assert (code, "student.int8-fp16.onnx" in output) == (0, True), output
