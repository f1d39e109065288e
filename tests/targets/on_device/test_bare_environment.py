"""The device side in environments of its own: as the guide installs it, and with less."""

import os
import re
import shutil
import subprocess

import pytest

from tests.support.interpreters import interpreter
from tests.support.quick_run import ROOT

pytestmark = pytest.mark.slow

CONSTRAINTS = {
    "3.10": "constraints-device.txt",
    "3.11": "constraints.txt",
    "3.12": "constraints-device.txt",
}
"""JetPack 6 has Python 3.10, JetPack 7 has 3.12."""

OUTSIDE = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


def installed(python, *options):
    """Names and versions of an environment's packages."""
    told = subprocess.run(
        [python, "-m", "pip", "list", "--format=freeze", *options],
        check=True,
        capture_output=True,
        text=True,
        env=OUTSIDE,
    )
    return dict(line.partition("==")[::2] for line in told.stdout.splitlines())


@pytest.fixture(params=CONSTRAINTS)
def bare(request, tmp_path):
    """A command in an environment that holds only what a device needs."""
    python = interpreter(request.param)
    subprocess.run([python, "-m", "venv", tmp_path / "venv"], check=True)
    own = tmp_path / "venv" / "bin" / "python"
    constraints = ROOT / CONSTRAINTS[request.param]
    wanted = [*("-m", "pip", "install", "--quiet", "--constraint", constraints)]
    subprocess.run([own, *wanted, "numpy", "onnx", "onnxruntime"], check=True, env=OUTSIDE)
    assert not {"torch", "prefect", "pydantic", "typer"} & installed(own).keys()

    def _run(*arguments):
        done = subprocess.run(
            [own, "-m", "targets", *map(str, arguments)],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8"},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    return _run


def test_list_lint_and_compile(bare, same_bundle, tmp_path):
    bundle = shutil.copytree(same_bundle, tmp_path / "bundle")
    code, said = bare("list")
    assert (code, "orin-nano-8 (orin-nano)" in said) == (0, True), said
    code, said = bare("lint", bundle / "graphs" / "student.int8.onnx")
    assert (code, "0 errors" in said) == (0, True), said
    code, said = bare("compile", bundle, "--target", "local-cpu")
    assert (code, "int8" in said) == (0, True), said
    assert (bundle / "built" / "local-cpu" / "report.json").exists()
    code, said = bare("selftest", "--dry-run")
    assert (code, "student.int8-fp16.onnx" in said) == (0, True), said
    code, said = bare("compile", bundle, "--target", "orin-nano")
    assert (code, "this machine is no Jetson" in said) == (1, True), said


def install_command():
    """What the guide has a person with a Jetson type in the clone."""
    guide = (ROOT / "targets" / "README.md").read_text().split("## Install\n")[1]
    block = re.search(r"```sh\n(.*?)```", guide, re.DOTALL).group(1)
    clone, command = block.splitlines()
    assert clone.startswith("git clone ")
    return command.split("  #")[0].split()


def plain(name):
    """A package's name as both pip and the constraints can be compared by."""
    return name.lower().replace("-", "_")


def pinned():
    """The versions of constraints-device.txt by name."""
    lines = (ROOT / "constraints-device.txt").read_text().splitlines()
    pairs = (line.split("==") for line in lines if not line.startswith("#"))
    return {plain(name): version for name, version in pairs}


@pytest.fixture(params=["3.10", "3.12"])
def device(request, tmp_path):
    """A clone with its environment, as the guide's one command makes it."""
    python = interpreter(request.param)
    clone = tmp_path / "clone"
    left_out = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "build", "results")
    shutil.copytree(ROOT, clone, ignore=left_out)
    # The user's own packages stand for the system's: an environment sees both or neither.
    user = tmp_path / "user"
    system = user / "lib" / f"python{request.param}" / "site-packages" / "tensorrt"
    system.mkdir(parents=True)
    (system / "__init__.py").write_text('__version__ = "10.3.0"\n')
    environment = {**OUTSIDE, "PYTHONUSERBASE": str(user)}
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


def test_the_guides_command_installs_a_worker_that_sees_the_systems_tensorrt(device):
    clone, run = device
    held = installed(clone / ".venv" / "bin" / "python", "--local")
    assert not {"torch", "nncf"} & held.keys()
    ours = {"pip", "setuptools", "datafree-edge"}
    versions = {plain(name): version for name, version in held.items() if name not in ours}
    assert versions.items() <= pinned().items()
    code, said = run("python", "-c", "import flows.compile_engine")
    assert (code, said) == (0, "")
    asked = "from targets.tensorrt.builders.bindings import find_bindings; print(find_bindings())"
    code, said = run("python", "-c", asked)
    assert (code, said) == (0, "Bindings(version=(10, 3, 0))\n")
    code, said = run("prefect", "worker", "start", "--help")
    assert (code, "--pool" in said) == (0, True), said
    code, said = run("python", "-m", "targets", "selftest", "--dry-run")
    assert (code, "student.int8-fp16.onnx" in said) == (0, True), said
