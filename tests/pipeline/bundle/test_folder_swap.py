"""Replacing a folder: kills at any moment, other processes, and leftovers."""

import os
import signal
import subprocess
import sys
import uuid

import pytest

from pipeline.bundle import folder_swap
from pipeline.bundle.folder_swap import hidden_sibling, restore_interrupted_swap, swap_folder
from tests.support.quick_run import ROOT

SWAP_AND_DIE = """
import os, signal, sys
from pathlib import Path
from pipeline.bundle import folder_swap

written, final = map(Path, sys.argv[1:3])
fatal_call, mode = int(sys.argv[3]), sys.argv[4]
calls = 0

def killing(function):
    def call(*arguments, **options):
        global calls
        if calls == fatal_call:
            os.kill(os.getpid(), signal.SIGKILL)
        calls += 1
        return function(*arguments, **options)
    return call

for name in ("rename", "replace", "unlink", "rmdir", "fsync"):
    setattr(os, name, killing(getattr(os, name)))
exchange = folder_swap._exchange_names if mode == "exchange" else lambda *names: False
folder_swap._exchange_names = killing(exchange)
folder_swap.swap_folder(written, final)
"""
"""Swaps two folders and kills itself before one of the calls that change the disk."""


def make_folder(path, content):
    """Write a folder of two files with the same content."""
    path.mkdir()
    for name in ("graph", "manifest"):
        (path / name).write_text(content)
    return path


def content_of(path):
    """Return the content of both files, which must be equal."""
    (content,) = {(path / name).read_text() for name in ("graph", "manifest")}
    return content


@pytest.fixture(params=["exchange", "two renames"])
def mode(request, monkeypatch):
    """A file system that can exchange two names, and one that cannot."""
    if request.param == "two renames":
        monkeypatch.setattr(folder_swap, "_exchange_names", lambda one, other: False)
    return request.param


def test_swap_replaces_existing_folder_or_takes_free_name(tmp_path, mode):
    final = tmp_path / "net"
    for content in ("first", "second"):
        swap_folder(make_folder(hidden_sibling(final, "part"), content), final)
        assert content_of(final) == content
        assert [path.name for path in tmp_path.iterdir()] == ["net"]


def test_exchange_of_names_works_on_this_file_system(tmp_path):
    """Otherwise the tests with mode "exchange" test nothing."""
    one, other = make_folder(tmp_path / "one", "1"), make_folder(tmp_path / "other", "2")
    if not folder_swap._exchange_names(one, other):
        # Not every file system can; "two renames" is tested on all.
        pytest.skip("this file system cannot exchange two names")
    assert (content_of(one), content_of(other)) == ("2", "1")
    assert not folder_swap._exchange_names(one, tmp_path / "none")


def test_swap_killed_at_any_moment_leaves_old_or_new_folder(tmp_path, mode):
    """One of the two is there and complete, and the next swap leaves nothing else behind."""
    outcomes = []
    for fatal_call in range(40):
        final = tmp_path / f"at-{fatal_call}" / "net"
        final.parent.mkdir()
        make_folder(final, "old")
        written = make_folder(hidden_sibling(final, "part"), "new")
        arguments = [str(written), str(final), str(fatal_call), mode]
        run = subprocess.run(
            [sys.executable, "-c", SWAP_AND_DIE, *arguments], cwd=ROOT, check=False
        )
        restore_interrupted_swap(final)
        outcomes.append(content_of(final))
        for leftover in final.parent.iterdir():
            os.utime(leftover, (0, 0))
        swap_folder(make_folder(hidden_sibling(final, "part"), "next"), final)
        assert content_of(final) == "next"
        assert [path.name for path in final.parent.iterdir()] == ["net"]
        if run.returncode == 0:
            break
        assert run.returncode == -signal.SIGKILL
    assert set(outcomes) == {"old", "new"}
    # From some moment on it is always the new folder.
    assert outcomes == sorted(outcomes, reverse=True)


def test_swap_replaces_folder_that_another_process_created_meanwhile(tmp_path, monkeypatch):
    monkeypatch.setattr(folder_swap, "_exchange_names", lambda one, other: False)
    final = make_folder(tmp_path / "net", "old")
    created, rename = [], folder_swap.Path.rename

    def interfering_rename(path, target):
        result = rename(path, target)
        if path == final and not created:
            created.append(make_folder(final, "of another process"))
        return result

    monkeypatch.setattr(folder_swap.Path, "rename", interfering_rename)
    swap_folder(make_folder(hidden_sibling(final, "part"), "new"), final)
    assert created
    assert content_of(final) == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["net"]


def test_swap_keeps_recent_parts_and_siblings_of_other_bundles(tmp_path, mode):
    final = make_folder(tmp_path / "net", "old")
    recent = make_folder(hidden_sibling(final, "part"), "being written")
    of_others = [
        make_folder(tmp_path / f".net.same.{uuid.uuid4().hex}.{role}", "x")
        for role in ("old", "part")
    ]
    for path in of_others:
        os.utime(path, (0, 0))
    swap_folder(make_folder(hidden_sibling(final, "part"), "new"), final)
    assert {path.name for path in tmp_path.iterdir()} == {
        *("net", recent.name),
        *(path.name for path in of_others),
    }


def test_restore_does_not_replace_existing_folder(tmp_path):
    final = make_folder(tmp_path / "net", "existing")
    make_folder(hidden_sibling(final, "old"), "moved away")
    restore_interrupted_swap(final)
    assert content_of(final) == "existing"
