"""int8 and bfloat16 instructions read from /proc/cpuinfo."""

import pytest

from targets.catalogue.instruction_sets import parse_cpuinfo


@pytest.mark.parametrize(
    ("text", "machine", "int8", "saturates"),
    [
        ("model name : Xeon\nflags : sse avx2 avx512_vnni\n", "x86_64", "vnni", False),
        ("flags : sse avx2 avx_vnni", "x86_64", "vnni", False),
        ("flags : sse avx2", "x86_64", "avx2", True),
        ("flags : sse", "x86_64", "none", True),
        ("Features : fp asimd asimddp i8mm", "aarch64", "i8mm", False),
        ("Features : fp asimd asimddp", "aarch64", "dotprod", False),
        ("Features : fp asimd", "aarch64", "none", False),
        ("", "x86_64", "none", True),
    ],
)
def test_parse_cpuinfo_finds_the_best_int8_instructions(text, machine, int8, saturates):
    cpu = parse_cpuinfo(text, machine)
    assert cpu.int8 == int8
    assert cpu.saturates is saturates


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("avx2 avx512_vnni avx512_bf16", True),
        ("avx512_vnni amx_bf16", True),
        ("avx512_vnni", False),
        ("bf16", False),
    ],
)
def test_bfloat16_needs_x86_instructions(flags, expected):
    assert parse_cpuinfo(f"flags : {flags}\n", "x86_64").bfloat16 is expected
