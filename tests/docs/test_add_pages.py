"""The pages that show how to add a part.

`test_quick_blocks.py` follows each page in a copy of the project: it writes the files shown,
applies the changes shown and runs the checks shown.
"""

import pytest

from tests.support.marked_blocks import QUICK, groups

PARTS = ("recipe", "term", "memory", "architecture", "step", "target")


@pytest.mark.parametrize("part", PARTS)
def test_page_writes_files_and_runs_pytest(part):
    blocks = groups(QUICK)[f"add-{part}"]
    assert {block.page for block in blocks} == {f"docs/add_{part}.md"}
    written = [block.file for block in blocks if block.file]
    checks = [block.text for block in blocks if block.language == "sh"]
    assert any(path.startswith("tests/") for path in written)
    assert any("pytest" in text for text in checks)
