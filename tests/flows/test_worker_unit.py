"""The systemd unit of a device's worker."""

import os
import shutil
import subprocess

import pytest

from tests.support.quick_run import ROOT


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd-analyze")
def test_systemd_accepts_the_unit(tmp_path):
    done = subprocess.run(
        ["systemd-analyze", "verify", "--user", ROOT / "targets" / "on_device" / "worker.service"],
        env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
