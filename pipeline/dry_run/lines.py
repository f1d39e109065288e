"""Format the results of a dry run as text."""

from collections.abc import Iterator

from base.duration import duration
from pipeline.dry_run.dry_run import DryRun
from pipeline.reporter import shown_name

LISTED = 8
"""Largest number of names in one list."""

SLOW_LISTED = 3
"""Largest number of slow operations that are listed."""


def dry_run_lines(found: DryRun) -> Iterator[str]:
    """Yield the lines that `datafree-edge check` prints."""
    for warning in found.warnings:
        yield f"warning: {warning}"
    for note in found.teacher_notes:
        yield f"teacher: {note}"
    network = found.network
    yield (
        f"student: {network.layers} layers, {network.parameters:,} parameters, "
        f"{network.multiply_adds:,} multiply-adds"
    )
    if found.start is not None:
        yield f"start: {found.start}"
    yield f"quantized: {100 * network.quantized_share:.1f} % of the multiply-adds"
    for layer in network.float_layers:
        yield f"  float: {layer.name}, {100 * layer.share:.1f} % ({layer.reason})"
    if network.uncalled:
        yield f"never called, ignored: {_listed(network.uncalled)}"
    for warning in found.slow[:SLOW_LISTED]:
        yield f"slow on TensorRT: {warning}"
    if len(found.slow) > SLOW_LISTED:
        more = len(found.slow) - SLOW_LISTED
        yield f"  and {more} more; after a run, `datafree-edge lint` lists all"
    yield f"estimated memory: {found.memory_bytes / 2**30:.1f} GiB"
    yield f"estimated time: {duration(found.seconds)}"
    for stage in found.stages:
        yield f"  {shown_name(stage.name)}: {duration(stage.seconds)}"


def _listed(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + more
