"""What people read of a target."""

import pytest

from targets.catalogue.catalogue import CpuTarget, JetsonTarget, find_target, targets_by_name
from targets.catalogue.tables import target_card, target_list


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        (
            "nano",
            [
                "part numbers  p3448-0000, p3448-0002",
                "GPU           Maxwell, 5.3",
                "memory        4 GB, 64 bit",
                "int8          none: engines are FP16",
                "accelerators  none",
                "MAXN        921.6?   1?   none       0.47?        25.6?",
                "4.6      32.6  10.2  8.0.1     3.6     13",
                "4.6.1    32.7  10.2  8.2.1     3.6     13",
            ],
        ),
        (
            "xavier-nx",
            [
                "GPU           Volta, 7.2",
                "int8          tensor cores, and DP4A?",
                "accelerators  2 x v1",
                "5.0.2    35.1  11.4  8.4.1?    3.8     13?    int8 by a cache of scales?",
            ],
        ),
        (
            "agx-orin",
            [
                "GPU           Ampere, 8.7",
                "memory        64 GB, 256 bit",
                "int8          tensor cores",
                "MODE_30W    612      8    20.1       10.03        204.7",
                "6.1      36.4     12.6  10.3.0    3.10    20?    int8 by a cache of scales",
                "7.2.2    39.2.2?  13.2  11.4.1?   3.12    25     "
                "int8 and float16 by strong typing, on AGX Orin alone",
            ],
        ),
        (
            "thor-t4000",
            [
                "part numbers  p3834-0000?",
                "GPU           Blackwell, 11.0",
                "memory        64 GB, 256 bit",
                "MAXN        1530     12   300.8?     150.41       273.0",
                "7.1      38.4     13.0  10.13.3   3.12    24?",
            ],
        ),
        ("x86-vnni", ["int8        vnni"]),
        ("arm", ["what it is  64-bit ARM without dot product (Cortex-A53, A57, A72)?"]),
        ("local-gpu", ["what it is  the GPU of this machine, by its TensorRT"]),
    ],
)
def test_a_card_tells_what_is_known_and_what_nobody_has_checked(name, lines):
    told = target_card(find_target(name)).splitlines()
    assert told[0] == find_target(name).name
    assert [line for line in lines if line not in told] == []


@pytest.mark.parametrize("name", targets_by_name())
def test_every_card_has_its_source_and_every_row_of_the_table(name):
    target = find_target(name)
    told = target_card(target)
    assert target.source in told
    if isinstance(target, JetsonTarget):
        words = {line.split()[0] for line in told.splitlines() if line}
        assert {each.name for each in (*target.modes, *target.jetpacks)} <= words


def test_the_list_has_every_target_once_with_its_int8():
    lines = target_list().splitlines()[1:]
    names = [line.split()[0] for line in lines]
    assert names == [name for name, target in targets_by_name().items() if name == target.name]
    by_name = dict(zip(names, lines, strict=True))
    assert "none: engines are FP16" in by_name["tx2"]
    assert "tensor cores" in by_name["orin-nx-8"] and by_name["agx-orin-64"].endswith("7.2.2")
    for name, target in targets_by_name().items():
        if isinstance(target, CpuTarget):
            assert by_name[name].endswith(target.cpu.int8)
