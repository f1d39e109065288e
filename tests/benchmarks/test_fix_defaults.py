"""The files with the fixed defaults are complete; tests leave them alone."""

import shutil
from pathlib import Path

import pytest

from benchmarks.fix_defaults import TABLES
from benchmarks.row_digest import add_missing_defaults


@pytest.mark.parametrize(("file", "rules"), TABLES, ids=["mnist", "quantization"])
def test_file_has_every_default_of_the_code(file, rules, tmp_path):
    """If not, run `python -m benchmarks.fix_defaults`."""
    copy = Path(shutil.copy(file, tmp_path))
    assert add_missing_defaults(copy, rules()) == {}
    assert copy.read_bytes() == file.read_bytes()
