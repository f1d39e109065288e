"""A folder in place of another: a kill at any moment, neighbours, and what is left behind."""

import os
import signal
import subprocess
import sys
import uuid

import pytest

from pipeline.bundle import folder_swap
from pipeline.bundle.folder_swap import beside, recover, swap
from tests.support.quick_run import ROOT

KILLED = """
import os, signal, sys
from pathlib import Path
from pipeline.bundle import folder_swap

written, final = map(Path, sys.argv[1:3])
moment, way = int(sys.argv[3]), sys.argv[4]
passed = 0

def watched(function):
    def at_a_moment(*arguments, **options):
        global passed
        if passed == moment:
            os.kill(os.getpid(), signal.SIGKILL)
        passed += 1
        return function(*arguments, **options)
    return at_a_moment

for name in ("rename", "replace", "unlink", "rmdir", "fsync"):
    setattr(os, name, watched(getattr(os, name)))
exchanged = folder_swap._exchanged if way == "exchange" else lambda *names: False
folder_swap._exchanged = watched(exchanged)
folder_swap.swap(written, final)
"""


def folder(path, content):
    """Two files that belong together."""
    path.mkdir()
    for name in ("graph", "manifest"):
        (path / name).write_text(content)
    return path


def content(path):
    """What both files say."""
    (said,) = {(path / name).read_text() for name in ("graph", "manifest")}
    return said


@pytest.fixture(params=["exchange", "aside"])
def way(request, monkeypatch):
    """By a file system that exchanges names, and by one that does not."""
    if request.param == "aside":
        monkeypatch.setattr(folder_swap, "_exchanged", lambda one, other: False)
    return request.param


def test_the_new_takes_the_place_of_the_old_or_of_nothing(tmp_path, way):
    final = tmp_path / "net"
    for said in ("first", "second"):
        swap(folder(beside(final, "part"), said), final)
        assert content(final) == said
        assert [path.name for path in tmp_path.iterdir()] == ["net"]


def test_this_file_system_exchanges_names(tmp_path):
    """Or the tests of it show nothing."""
    one, other = folder(tmp_path / "one", "1"), folder(tmp_path / "other", "2")
    if not folder_swap._exchanged(one, other):
        # Not every file system can; the other way is tested on all.
        pytest.skip("this file system cannot exchange two names")
    assert (content(one), content(other)) == ("2", "1")
    assert not folder_swap._exchanged(one, tmp_path / "none")


def test_killed_at_any_moment(tmp_path, way):
    """One of the two is there, whole, and the next that is written leaves nothing else."""
    outcomes = []
    for moment in range(40):
        final = tmp_path / f"at-{moment}" / "net"
        final.parent.mkdir()
        folder(final, "old")
        written = folder(beside(final, "part"), "new")
        arguments = [str(written), str(final), str(moment), way]
        run = subprocess.run([sys.executable, "-c", KILLED, *arguments], cwd=ROOT, check=False)
        recover(final)
        outcomes.append(content(final))
        for left in final.parent.iterdir():
            os.utime(left, (0, 0))
        swap(folder(beside(final, "part"), "next"), final)
        assert content(final) == "next"
        assert [path.name for path in final.parent.iterdir()] == ["net"]
        if run.returncode == 0:
            break
        assert run.returncode == -signal.SIGKILL
    assert set(outcomes) == {"old", "new"}
    # Once there, the new one stays.
    assert outcomes == sorted(outcomes, reverse=True)


def test_someone_elses_comes_in_between(tmp_path, monkeypatch):
    monkeypatch.setattr(folder_swap, "_exchanged", lambda one, other: False)
    final = folder(tmp_path / "net", "old")
    others, rename = [], folder_swap.Path.rename

    def meddled(path, target):
        made = rename(path, target)
        if path == final and not others:
            others.append(folder(final, "someone else's"))
        return made

    monkeypatch.setattr(folder_swap.Path, "rename", meddled)
    swap(folder(beside(final, "part"), "new"), final)
    assert others
    assert content(final) == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["net"]


def test_what_is_being_written_and_what_is_a_neighbours_stays(tmp_path, way):
    final = folder(tmp_path / "net", "old")
    young = folder(beside(final, "part"), "being written")
    others = [
        folder(tmp_path / f".net.same.{uuid.uuid4().hex}.{kind}", "x") for kind in ("old", "part")
    ]
    for path in others:
        os.utime(path, (0, 0))
    swap(folder(beside(final, "part"), "new"), final)
    assert {path.name for path in tmp_path.iterdir()} == {
        *("net", young.name),
        *(path.name for path in others),
    }


def test_nothing_is_put_in_place_of_what_is_there(tmp_path):
    final = folder(tmp_path / "net", "there")
    folder(beside(final, "old"), "aside")
    recover(final)
    assert content(final) == "there"
