"""What people read of the catalogue, as plain text: the device side has nothing to draw with."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from targets.catalogue.catalogue import (
    CpuTarget,
    GpuTarget,
    JetsonTarget,
    PowerMode,
    Target,
    targets_by_name,
)
from targets.catalogue.roofline import (
    LAUNCH_US,
    Setting,
    latency_bounds,
    latency_bounds_on,
    workload_of,
)
from targets.graph.graph_file import read_graph

MODE_COLUMNS = ("power mode", "GPU MHz", "SMs", "int8 TOPS", "fp16 TFLOPS", "GB/s")
SETTING_COLUMNS = ("target", "power mode", "precision")
BOUND_COLUMNS = ("at least ms", "bound by", "arithmetic", "memory", "launch")
SOFTWARE_COLUMNS = ("JetPack", "L4T", "CUDA", "TensorRT", "Python", "opset", "accelerators")


def target_list() -> str:
    """Every target on a line."""
    rows = [("name", "what it is", "int8", "JetPacks")]
    for name, target in targets_by_name().items():
        if name != target.name:
            continue
        if isinstance(target, JetsonTarget):
            also = f" ({', '.join(target.also)})" if target.also else ""
            jetpacks = f"{target.jetpacks[0].name} to {target.jetpacks[-1].name}"
            rows.append((name + also, target.title, _int8(target), jetpacks))
        else:
            int8 = target.cpu.int8 if isinstance(target, CpuTarget) else ""
            rows.append((name, target.title, int8, ""))
    return _aligned(rows)


def target_card(target: Target) -> str:
    """All that is known of a target; a ? behind a fact nobody has checked."""
    if not isinstance(target, JetsonTarget):
        return _card_without_peaks(target)
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
    modes: list[Sequence[str]] = [MODE_COLUMNS]
    modes += [_mode(target, mode) for mode in target.modes]
    software: list[Sequence[str]] = [SOFTWARE_COLUMNS]
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


def roofline_table(graph: Path, batch: int, only: Target | None = None) -> str:
    """What a graph cannot be faster than; a ? behind a figure that nobody has checked.

    Args:
        graph: A float32 graph.
        batch: Images at a time.
        only: A Jetson to show in each of its power modes; None for every Jetson in its fastest.

    Raises:
        ValueError: When the one target has no peaks to divide by.
    """
    if only is not None and not isinstance(only, JetsonTarget):
        raise ValueError(
            f"{only.name}: no peak is known of it, so no floor either; time it on such a machine: "
            f"python -m targets compile BUNDLE --target {only.name}"
        )
    asked = workload_of(read_graph(graph), batch)
    found = latency_bounds(asked) if only is None else latency_bounds_on(asked, only, only.modes)
    rows: list[Sequence[str]] = [(*SETTING_COLUMNS, *BOUND_COLUMNS)]
    for place, floor in found:
        least = _marked(f"{floor.milliseconds:.4f}", _guessed(place))
        bounds = (f"{bound:.4f}" for bound in (floor.arithmetic, floor.memory, floor.launch))
        where = (place.target.name, place.mode.name, place.precision)
        rows.append((*where, least, floor.bound, *bounds))
    assumptions = (
        f"{asked.macs:,} MACs, {asked.weights:,} weights, {asked.kernels} kernels at batch {batch}."
        "\nFloors, not latencies: the dense peak of the GPU, weights and images through memory "
        f"once,\nactivations on the chip, {LAUNCH_US:g} us a kernel (assumed)."
    )
    if only is None:
        left_out = [
            name for name, each in targets_by_name().items() if not isinstance(each, JetsonTarget)
        ]
        assumptions += f"\nNo peaks are known of {', '.join(left_out)}: no floors."
    return f"{_aligned(rows)}\n\n{assumptions}"


def _card_without_peaks(target: CpuTarget | GpuTarget) -> str:
    unverified = target.unverified if isinstance(target, CpuTarget) else ()
    lines = [("what it is", _marked(target.title, "title" in unverified))]
    if isinstance(target, CpuTarget):
        here = (
            "this machine is one"
            if target.matches_this_machine
            else "this machine is none: not timed here"
        )
        lines += [("int8", target.cpu.int8), ("here", here)]
    lines.append(("source", target.source))
    return f"{target.name}\n\n{_aligned(lines)}"


def _guessed(place: Setting) -> bool:
    """Whether a floor there rests on a fact checked against no document."""
    target = place.target
    return "modes" in target.unverified or place.precision in target.architecture.unverified


def _int8(target: JetsonTarget) -> str:
    architecture = target.architecture
    return _marked(architecture.int8_units, "int8_units" in architecture.unverified)


def _mode(target: JetsonTarget, mode: PowerMode) -> Sequence[str]:
    guessed = "modes" in target.unverified
    int8 = f"{target.peak_tops('int8', mode):.1f}"
    figures = (
        _marked(f"{mode.gpu_mhz:g}", guessed),
        _marked(str(mode.sms), guessed),
        _marked(int8, _guessed(Setting(target, mode, "int8"))) if target.has_int8 else "none",
        _marked(f"{target.peak_tops('fp16', mode):.2f}", _guessed(Setting(target, mode, "fp16"))),
        _marked(f"{target.bandwidth_gb_s(mode):.1f}", guessed),
    )
    return (mode.name, *figures)


def _marked(said: str, unverified: bool) -> str:
    return f"{said}?" if unverified else said


def _aligned(rows: Iterable[Sequence[str]]) -> str:
    listed = [tuple(row) for row in rows]
    widths = [max(len(row[column]) for row in listed) for column in range(len(listed[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in listed
    )
