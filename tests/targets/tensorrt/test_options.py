"""Options: graph roles, typing modes, opsets and scratch memory."""

import pytest

from targets.tensorrt.options import (
    Options,
    UnsupportedError,
    check_opset,
    default_workspace_mib,
    graph_role,
    typing_modes,
)


def test_weak_typing_is_the_fallback_on_version_10():
    assert typing_modes((8, 5, 1)) == ("weak",)
    assert typing_modes((10, 3, 0)) == ("strong", "weak")
    assert typing_modes((11, 1, 0)) == ("strong",)
    assert graph_role(Options("int8", "weak"), (10, 3, 0)) == "int8"


def test_check_opset_refuses_an_opset_above_the_parsers():
    check_opset(13, 13, "TensorRT 8.2")
    with pytest.raises(UnsupportedError, match=r"opset 17 is above 13.*set export.opset to 13"):
        check_opset(17, 13, "TensorRT 8.2")


@pytest.mark.parametrize(
    ("memory_gb", "mib"), [(None, 1024), (4, 512), (8, 1024), (64, 1024), (2, 256)]
)
def test_default_workspace_is_an_eighth_of_the_memory_up_to_a_limit(memory_gb, mib):
    assert default_workspace_mib(memory_gb) == mib
