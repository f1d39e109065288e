"""Which accelerators exist and which TensorRT can use them."""

import pytest

from targets.catalogue.catalogue import find_target
from targets.tensorrt.dla.availability import check_dla
from targets.tensorrt.options import UnsupportedError

ORIN = find_target("orin-nx-16")


def test_check_dla_refuses_missing_and_unsupported_accelerators():
    check_dla(ORIN, "6.1", 1, (10, 3, 0))
    for core in (2, -1):
        with pytest.raises(UnsupportedError, match="has 2 accelerators, numbered from 0"):
            check_dla(ORIN, "6.1", core, (10, 3, 0))
    with pytest.raises(UnsupportedError, match=r"JetPack 7\.2 cannot use the DLA.*build for the G"):
        check_dla(ORIN, "7.2", 0, (10, 16, 2))
    with pytest.raises(UnsupportedError, match="orin-nano-8 has no accelerator"):
        check_dla(find_target("orin-nano-8"), "6.1", 0, (10, 3, 0))
    with pytest.raises(UnsupportedError, match="this machine has no accelerator"):
        check_dla(None, "", 0, (10, 3, 0))
    with pytest.raises(UnsupportedError, match=r"TensorRT 10\.8\.0 cannot use the DLA"):
        check_dla(ORIN, "6.1", 0, (10, 8, 0))
    with pytest.raises(UnsupportedError, match=r"TensorRT 11\.4\.1 .*strongly typed.*for the GPU"):
        check_dla(find_target("agx-orin"), "7.2.2", 0, (11, 4, 1))
