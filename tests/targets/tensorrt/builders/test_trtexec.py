"""Finding trtexec and reading its version."""

import pytest

from targets.tensorrt.builders.trtexec import find_trtexec, parse_banner
from targets.tensorrt.diagnosis.failure import BuildError


@pytest.mark.parametrize(
    ("banner", "version"),
    [
        ("[TensorRT v8201]", (8, 2, 1)),
        ("[TensorRT v8502]", (8, 5, 2)),
        ("[TensorRT v100300]", (10, 3, 0)),
        ("[TensorRT v101600] [b72]", (10, 16, 0)),
        ("[TensorRT v110100] [b106]", (11, 1, 0)),
        ("no banner", None),
    ],
)
def test_parse_banner_reads_the_version(banner, version):
    assert parse_banner(f"&&&& RUNNING TensorRT.trtexec {banner} # trtexec") == version


def test_find_trtexec_reports_a_missing_program(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BuildError, match="trtexec was not found; install the package tensorrt"):
        find_trtexec()
