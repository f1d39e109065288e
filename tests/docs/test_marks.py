"""Every command of README and docs/ is marked, and exists."""

import pytest

from tests.support.known_commands import check_command
from tests.support.marked_blocks import (
    NOT_RUN,
    RUN_LANGUAGES,
    MarkError,
    blocks,
    commands,
    groups,
    read_page,
    script,
)

SHELL = [block for block in blocks() if block.tier and block.language in ("sh", "bash")]


@pytest.mark.parametrize(
    "block", [b for b in blocks() if b.language in RUN_LANGUAGES], ids=lambda b: b.place
)
def test_every_block_of_commands_is_marked(block):
    assert block.tier, f"{block.place}: mark the block, see tests/support/marked_blocks.py"


@pytest.mark.parametrize("block", SHELL, ids=lambda block: block.place)
def test_marked_commands_and_their_options_exist(block):
    for command in commands(block):
        check_command(command)


@pytest.mark.parametrize(
    "command",
    [
        "datafree-edge rum my_run.yaml",
        "datafree-edge run my_run.yaml --recipi house",
        "python -m targets compil BUNDLE",
        "python -m targets compile BUNDLE --targget nano",
        "python -m benchmarks.mnistt",
        "prefect work-pool create local --typ process",
        "prefect deploiment run x",
        "make tests",
    ],
)
def test_an_unknown_command_or_option_is_found(command):
    with pytest.raises(AssertionError):
        check_command(command)


PAGE = """
<!-- test: quick group=a -->
```sh
export X=1  # a comment
mkdir sub && cd sub
```

text

<!-- test: slow name=last group=a -->
```sh
test $X = 1
```

<!-- test: server group=a file=made/run.yaml -->
```yaml
name: x
```

<!-- test: not-run -->
```sh
make test
```

    ```python
    print(1)
    ```
"""


def test_blocks_are_read_with_their_marks(tmp_path):
    (page := tmp_path / "README.md").write_text(PAGE)
    found = read_page(page, tmp_path)
    assert [block.tier for block in found] == ["quick", "slow", "server", "not-run", None]
    assert [block.group for block in found] == ["a"] * 3 + [None] * 2
    assert [block.line for block in found] == [3, 11, 16, 21, 25]
    assert found[1].name == "last"
    assert found[2].file == "made/run.yaml"
    assert commands(found[0]) == ["export X=1", "mkdir sub '&&' cd sub"]


def test_a_tier_runs_a_group_with_the_blocks_of_earlier_tiers(tmp_path):
    (page := tmp_path / "README.md").write_text(PAGE)
    found = read_page(page, tmp_path)
    run = {tier: groups(tier, found) for tier in ("quick", "server", "slow", NOT_RUN)}
    assert [b.line for b in run["quick"]["a"]] == [3]
    assert [b.line for b in run["server"]["a"]] == [3, 16]
    assert [b.line for b in run["slow"]["a"]] == [3, 11, 16]
    assert set(run[NOT_RUN]) == {"README.md:21"}


def test_a_script_uses_the_given_port_and_writes_logs(tmp_path):
    (page := tmp_path / "README.md").write_text(
        "<!-- test: server -->\n```sh\nprefect server start &  # a comment\necho 4200\n```\n"
    )
    text = script(read_page(page, tmp_path), port=7)
    server, echo = text.strip().splitlines()
    assert server.endswith('.log" 2>&1 </dev/null &')
    assert echo == "echo 7"


@pytest.mark.parametrize(
    ("page", "message"),
    [
        ("<!-- test: fast -->\n```sh\n```\n", "unknown tier 'fast'"),
        ("<!-- test: quick -->\n\n```sh\n```\n", "on the line before its block"),
        ("<!-- test: quick nam=x -->\n```sh\n```\n", "unknown options"),
        ("<!-- test:quick -->\n```sh\n```\n", "is not a mark"),
    ],
)
def test_a_misspelled_mark_is_an_error(page, message, tmp_path):
    (tmp_path / "README.md").write_text(page)
    with pytest.raises(MarkError, match=message):
        read_page(tmp_path / "README.md", tmp_path)
