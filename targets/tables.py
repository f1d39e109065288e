"""What people read of the catalogue, as plain text: the device side has nothing to draw with."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from targets.catalogue import CpuTarget, JetsonTarget, PowerMode, Target, table
from targets.graph_file import read_graph
from targets.roofline import LAUNCH_MICROSECONDS, demand, floors

MODES = ("power mode", "GPU MHz", "SMs", "int8 TOPS", "fp16 TFLOPS", "GB/s")
SOFTWARE = ("JetPack", "L4T", "CUDA", "TensorRT", "Python", "opset", "accelerators")


def target_list() -> str:
    """Every target on a line."""
    rows = [("name", "what it is", "int8", "JetPacks")]
    for name, target in table().items():
        if name != target.name:
            continue
        if isinstance(target, JetsonTarget):
            also = f" ({', '.join(target.also)})" if target.also else ""
            jetpacks = f"{target.jetpacks[0].name} to {target.jetpacks[-1].name}"
            rows.append((name + also, target.title, _int8(target), jetpacks))
        else:
            rows.append((name, target.title, "", ""))
    return _aligned(rows)


def target_card(target: Target) -> str:
    """All that is known of a target; a ? behind a fact nobody has checked."""
    if not isinstance(target, JetsonTarget):
        return _cpu_card(target) if isinstance(target, CpuTarget) else f"{target.title}"
    facts = [
        ("what it is", "title", target.title),
        ("part numbers", "parts", ", ".join(target.parts) or "unknown"),
        ("GPU", "architecture", f"{target.architecture.name}, {target.compute_capability}"),
        ("memory", "memory_gb", f"{target.memory_gb:g} GB, {target.memory_bits} bit"),
        ("int8", "int8", _int8(target)),
        ("accelerators", "dla", target.dla or "none"),
        ("source", "source", target.source),
    ]
    lines = [(what, _marked(said, field in target.unverified)) for what, field, said in facts]
    modes: list[Sequence[str]] = [MODES]
    modes += [_mode(target, mode) for mode in target.modes]
    software: list[Sequence[str]] = [SOFTWARE]
    software += [
        (
            jetpack.name,
            *(
                _marked(str(getattr(jetpack, field)), field in jetpack.unverified)
                for field in ("l4t", "cuda", "tensorrt", "python", "opset")
            ),
            _marked(jetpack.dla, "dla" in jetpack.unverified) if target.dla else "",
        )
        for jetpack in target.jetpacks
    ]
    note = "peaks are dense and of the GPU alone; ? marks what was checked against no document"
    parts = [_aligned(lines), _aligned(modes), _aligned(software), note]
    return "\n\n".join([target.name, *parts])


def floor_table(graph: Path, batch: int) -> str:
    """What a graph cannot be faster than, on every Jetson in its fastest mode."""
    asked = demand(read_graph(graph), batch)
    rows = [("target", "power mode", "precision", "at least ms", "bound by")]
    for place, found in floors(asked):
        least = f"{found.milliseconds:.4f}"
        rows.append((place.target.name, place.mode.name, place.precision, least, found.bound))
    assumptions = (
        f"{asked.macs:,} MACs, {asked.weights:,} weights, {asked.kernels} kernels at batch {batch}."
        "\nFloors, not latencies: the dense peak of the GPU, weights and images through memory "
        f"once,\nactivations on the chip, {LAUNCH_MICROSECONDS:g} us a kernel (assumed)."
    )
    return f"{_aligned(rows)}\n\n{assumptions}"


def _cpu_card(target: CpuTarget) -> str:
    cpu = target.cpu
    here = "this machine is one" if target.is_here else "this machine is none: not timed here"
    return (
        f"{target.name}\n\n{_aligned([('what it is', target.title), ('int8', cpu.int8)])}\n{here}"
    )


def _int8(target: JetsonTarget) -> str:
    return "yes" if target.has_int8 else "none: engines are FP16"


def _mode(target: JetsonTarget, mode: PowerMode) -> Sequence[str]:
    guessed = "modes" in target.unverified
    int8 = target.peak("int8", mode)
    figures = (
        f"{mode.gpu_mhz:g}",
        str(mode.sms),
        _marked(f"{int8:.1f}", "int8" in target.architecture.unverified) if int8 else "none",
        f"{target.peak('fp16', mode):.2f}",
        f"{target.bandwidth(mode):.1f}",
    )
    return (mode.name, *(_marked(figure, guessed) for figure in figures))


def _marked(said: str, unverified: bool) -> str:
    return f"{said.rstrip('?')}?" if unverified else said


def _aligned(rows: Iterable[Sequence[str]]) -> str:
    listed = [tuple(row) for row in rows]
    widths = [max(len(row[column]) for row in listed) for column in range(len(listed[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in listed
    )
