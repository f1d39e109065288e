"""The folder of a full disk is named, whatever the library that wrote to it raises."""

import errno
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from base import full_disk
from base.errors import InputError
from base.full_disk import FullDiskError, full_disk_named, temporary_folder
from tests.support.quick_run import EXAMPLE, ROOT, write_run

WRITE_WITH_TORCH = """
import sys
from pathlib import Path
import torch
from base.full_disk import full_disk_named
try:
    with full_disk_named(Path(sys.argv[1]), "delete something"):
        torch.save(torch.zeros(100_000), Path(sys.argv[1], "tensor"))
except OSError as error:
    print(error.filename, error.strerror)
"""


def in_tiny_file_system(folder, *command, **options):
    """Run a command in a namespace where a folder is a file system of 100 kB."""
    folder.mkdir()
    mount = f'mount -t tmpfs -o size=100k tmpfs "{folder}" && exec "$@"'
    return subprocess.run(
        ["unshare", "-rm", "bash", "-c", mount, "bash", *map(str, command)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        **options,
    )


def write_to_full_device():
    with Path("/dev/full").open("w", buffering=1) as file:
        file.write("text\n")


def test_error_without_a_file_name_gets_folder_and_remedy(tmp_path):
    with (
        pytest.raises(FullDiskError) as caught,
        full_disk_named(tmp_path.parent, "outer"),
        full_disk_named(tmp_path, "delete something"),
    ):
        write_to_full_device()
    assert caught.value.filename == str(tmp_path)
    assert caught.value.strerror == "the disk is full; delete something"
    assert caught.value.errno == errno.ENOSPC


def test_temporary_folder_names_its_root():
    with pytest.raises(FullDiskError, match="TMPDIR") as caught, temporary_folder() as folder:
        write_to_full_device()
    assert caught.value.filename == tempfile.gettempdir()
    assert not folder.exists()


def test_other_errors_are_unchanged(tmp_path, monkeypatch):
    for error in (PermissionError(errno.EACCES, "no"), ValueError("x"), InputError("y")):
        with pytest.raises(type(error)) as caught, full_disk_named(tmp_path, ""):
            raise error
        assert caught.value is error
    monkeypatch.setattr(full_disk, "SMALLEST_FREE_BYTES", 1 << 80)
    with pytest.raises(FullDiskError), full_disk_named(tmp_path, ""):
        raise ValueError("x")


@pytest.mark.server
def test_full_disk_is_recognized_behind_an_error_of_torch(tmp_path):
    tiny = tmp_path / "tiny"
    done = in_tiny_file_system(tiny, sys.executable, "-c", WRITE_WITH_TORCH, tiny)
    assert done.stdout == f"{tiny} the disk is full; delete something\n", done.stderr


@pytest.mark.server
@pytest.mark.parametrize(
    ("full", "remedy"), [("store", "choose another store"), ("temporary", "set TMPDIR")]
)
def test_run_on_a_full_disk_names_it(tmp_path, monkeypatch, full, remedy):
    assert (EXAMPLE / "teacher.safetensors").stat().st_size > 200_000
    (tmp_path / "temporary").mkdir() if full == "store" else None
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    monkeypatch.setenv("DATAFREE_EDGE_STORE", str(tmp_path / "store"))
    arguments = ("run", write_run(tmp_path), "--output", tmp_path / "bundle")
    done = in_tiny_file_system(
        tmp_path / full, sys.executable, "-m", "pipeline.cli", *arguments, timeout=300
    )
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"datafree-edge: {tmp_path / full}: the disk is full; free some space")
    assert remedy in last
    assert "Traceback" not in done.stderr
    assert done.returncode == 1
