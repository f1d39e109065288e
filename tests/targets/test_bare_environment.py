"""The device side in environments of its own: numpy, onnx, onnxruntime and nothing else."""

import os
import shutil
import subprocess

import pytest

from benchmarks.quick_run import ROOT

pytestmark = pytest.mark.slow

CONSTRAINTS = {
    "3.10": "constraints-device.txt",
    "3.11": "constraints.txt",
    "3.12": "constraints.txt",
}
"""JetPack 6 has Python 3.10, JetPack 7 has 3.12."""


def interpreter(version):
    """A Python of this version, if this machine has one that runs."""
    path = shutil.which(f"python{version}")
    if path and subprocess.run([path, "--version"], capture_output=True, check=False).returncode:
        return None
    return path


@pytest.fixture(params=CONSTRAINTS)
def bare(request, tmp_path):
    """A command in an environment that holds only what a device needs."""
    python = interpreter(request.param)
    if python is None:
        # A machine need not have every Python; the skip names the one that is missing.
        pytest.skip(f"needs python{request.param} on the PATH")
    subprocess.run([python, "-m", "venv", tmp_path / "venv"], check=True)
    own = tmp_path / "venv" / "bin" / "python"
    constraints = ROOT / CONSTRAINTS[request.param]
    wanted = [*("-m", "pip", "install", "--quiet", "--constraint", constraints)]
    outside = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run([own, *wanted, "numpy", "onnx", "onnxruntime"], check=True, env=outside)
    held = subprocess.run(
        [own, "-m", "pip", "list", "--format=freeze"],
        check=True,
        capture_output=True,
        text=True,
        env=outside,
    ).stdout
    assert not {"torch", "prefect", "pydantic", "typer"} & {
        line.partition("==")[0] for line in held.splitlines()
    }

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
