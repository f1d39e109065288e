"""The text tables of the catalogue."""

import pytest

from targets.catalogue.catalogue import find_target, targets_by_name
from targets.catalogue.tables import target_card, target_list
from targets.catalogue.target_types import CpuTarget, JetsonTarget


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
                "5.0.2    35.1  11.4  8.4.1?    3.8     13?    int8 from a calibration cache?",
            ],
        ),
        (
            "agx-orin",
            [
                "GPU           Ampere, 8.7",
                "memory        64 GB, 256 bit",
                "int8          tensor cores",
                "MODE_30W    612      8    20.1       10.03        204.7",
                "6.1      36.4     12.6  10.3.0    3.10    20?    int8 from a calibration cache",
                "7.2.2    39.2.2?  13.2  11.4.1?   3.12    25     "
                "int8 and float16 with strong typing, AGX Orin only",
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
        ("x86-vnni", ["int8          vnni"]),
        ("arm", ["description   64-bit ARM without dot product (Cortex-A53, A57, A72)?"]),
        ("local-gpu", ["description  the GPU of this machine, through its TensorRT"]),
    ],
)
def test_target_card_contains_facts_and_marks_unverified_ones(name, lines):
    card = target_card(find_target(name)).splitlines()
    assert card[0] == find_target(name).name
    assert [line for line in lines if line not in card] == []


@pytest.mark.parametrize("name", targets_by_name())
def test_target_card_contains_source_modes_and_jetpacks(name):
    target = find_target(name)
    card = target_card(target)
    assert target.source in card
    if isinstance(target, JetsonTarget):
        words = {line.split()[0] for line in card.splitlines() if line}
        assert {each.name for each in (*target.modes, *target.jetpacks)} <= words


def test_target_list_contains_every_target_once_with_its_int8():
    lines = target_list().splitlines()[1:]
    names = [line.split()[0] for line in lines]
    assert names == [name for name, target in targets_by_name().items() if name == target.name]
    by_name = dict(zip(names, lines, strict=True))
    assert "none: engines are FP16" in by_name["tx2"]
    assert "tensor cores" in by_name["orin-nx-8"] and by_name["agx-orin-64"].endswith("7.2.2")
    for name, target in targets_by_name().items():
        if isinstance(target, CpuTarget):
            assert by_name[name].endswith(target.cpu.int8)
