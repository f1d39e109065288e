"""The catalogue as plain-text tables for the command line."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from targets.catalogue.catalogue import targets_by_name
from targets.catalogue.roofline import (
    LAUNCH_US,
    Setting,
    latency_bounds,
    latency_bounds_on,
    workload_of,
)
from targets.catalogue.target_types import CpuTarget, GpuTarget, JetsonTarget, PowerMode, Target
from targets.graph.graph_file import read_graph

MODE_COLUMNS = ("power mode", "GPU MHz", "SMs", "int8 TOPS", "fp16 TFLOPS", "GB/s")
SETTING_COLUMNS = ("target", "power mode", "precision")
BOUND_COLUMNS = ("at least ms", "bound by", "arithmetic", "memory", "launch")
SOFTWARE_COLUMNS = ("JetPack", "L4T", "CUDA", "TensorRT", "Python", "opset", "accelerators")


def target_list() -> str:
    """Return a table with one line per target."""
    rows = [("name", "description", "int8", "JetPacks")]
    for name, target in targets_by_name().items():
        if name != target.name:
            continue
        if isinstance(target, JetsonTarget):
            aliases = f" ({', '.join(target.aliases)})" if target.aliases else ""
            jetpacks = f"{target.jetpacks[0].name} to {target.jetpacks[-1].name}"
            rows.append((name + aliases, target.title, _int8(target), jetpacks))
        else:
            int8 = target.cpu.int8 if isinstance(target, CpuTarget) else ""
            rows.append((name, target.title, int8, ""))
    return _aligned(rows)


def target_card(target: Target) -> str:
    """Return everything known about a target; "?" follows an unverified fact."""
    if not isinstance(target, JetsonTarget):
        return _card_without_peaks(target)
    facts = [
        ("description", "title", target.title),
        ("part numbers", "part_numbers", ", ".join(target.part_numbers) or "unknown"),
        ("GPU", "architecture", f"{target.architecture.name}, {target.compute_capability}"),
        ("memory", "memory_gb", f"{target.memory_gb:g} GB, {target.memory_bits} bit"),
        ("int8", "int8", _int8(target)),
        ("accelerators", "dla", target.dla or "none"),
        ("source", "source", target.source),
    ]
    lines = [(label, _marked(text, field in target.unverified)) for label, field, text in facts]
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
    note = "peaks are dense and count the GPU only; ? marks unverified facts"
    parts = [_aligned(lines), _aligned(modes), _aligned(software), note]
    return "\n\n".join([target.name, *parts])


def roofline_table(graph: Path, batch: int, only: Target | None = None) -> str:
    """Return a table of lower bounds on a graph's latency; "?" follows an unverified figure.

    Args:
        graph: A float32 graph.
        batch: Number of images per forward pass.
        only: A Jetson to show in each of its power modes; None for every Jetson in its fastest.

    Raises:
        ValueError: If `only` is not a Jetson: its peak is unknown.
    """
    if only is not None and not isinstance(only, JetsonTarget):
        raise ValueError(
            f"{only.name}: its peak throughput is unknown, so there is no lower bound; measure it "
            f"on such a machine: python -m targets compile BUNDLE --target {only.name}"
        )
    workload = workload_of(read_graph(graph), batch)
    if only is None:
        bounds = latency_bounds(workload)
    else:
        bounds = latency_bounds_on(workload, only, only.modes)
    rows: list[Sequence[str]] = [(*SETTING_COLUMNS, *BOUND_COLUMNS)]
    for setting, bound in bounds:
        least = _marked(f"{bound.milliseconds:.4f}", _is_unverified(setting))
        each = (f"{value:.4f}" for value in (bound.arithmetic, bound.memory, bound.launch))
        where = (setting.target.name, setting.mode.name, setting.precision)
        rows.append((*where, least, bound.bound, *each))
    assumptions = (
        f"{workload.macs:,} MACs, {workload.weights:,} weights, {workload.kernels} kernels at "
        f"batch {batch}.\nLower bounds, not latencies: dense peak of the GPU, weights and images "
        f"through memory once,\nactivations on the chip, {LAUNCH_US:g} us per kernel (assumed)."
    )
    if only is None:
        others = [n for n, each in targets_by_name().items() if not isinstance(each, JetsonTarget)]
        assumptions += f"\nNo lower bounds for {', '.join(others)}: their peaks are unknown."
    return f"{_aligned(rows)}\n\n{assumptions}"


def _card_without_peaks(target: CpuTarget | GpuTarget) -> str:
    unverified = target.unverified if isinstance(target, CpuTarget) else ()
    lines = [("description", _marked(target.title, "title" in unverified))]
    if isinstance(target, CpuTarget):
        here = "same int8 instructions" if target.matches_this_machine else "other: not timed here"
        lines += [("int8", target.cpu.int8), ("this machine", here)]
    lines.append(("source", target.source))
    return f"{target.name}\n\n{_aligned(lines)}"


def _is_unverified(setting: Setting) -> bool:
    """Whether a bound depends on an unverified fact."""
    target = setting.target
    return "modes" in target.unverified or setting.precision in target.architecture.unverified


def _int8(target: JetsonTarget) -> str:
    architecture = target.architecture
    return _marked(architecture.int8_units, "int8_units" in architecture.unverified)


def _mode(target: JetsonTarget, mode: PowerMode) -> Sequence[str]:
    unverified = "modes" in target.unverified
    int8 = f"{target.peak_tops('int8', mode):.1f}"
    fp16 = f"{target.peak_tops('fp16', mode):.2f}"
    figures = (
        _marked(f"{mode.gpu_mhz:g}", unverified),
        _marked(str(mode.sms), unverified),
        _marked(int8, _is_unverified(Setting(target, mode, "int8"))) if target.has_int8 else "none",
        _marked(fp16, _is_unverified(Setting(target, mode, "fp16"))),
        _marked(f"{target.bandwidth_gb_s(mode):.1f}", unverified),
    )
    return (mode.name, *figures)


def _marked(text: str, unverified: bool) -> str:
    return f"{text}?" if unverified else text


def _aligned(rows: Iterable[Sequence[str]]) -> str:
    listed = [tuple(row) for row in rows]
    widths = [max(len(row[column]) for row in listed) for column in range(len(listed[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in listed
    )
