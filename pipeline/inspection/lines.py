"""Format what a teacher's file holds as text."""

from collections.abc import Iterator

from pipeline.inspection.contents import FileContents, StateDictContents
from pipeline.teachers.graphs.description import GraphDescription

LISTED = 8
"""Largest number of networks that are listed."""


def content_lines(contents: FileContents) -> Iterator[str]:
    """Yield the lines that `datafree-edge inspect` prints."""
    layout = f", checkpoint of {contents.layout}" if contents.layout else ""
    yield f"{contents.file}: {contents.kind}{layout}, {contents.bytes / 1e6:.1f} MB"
    for state in contents.state_dicts:
        yield from _state_dict_lines(state)
    if contents.graph:
        yield from _graph_lines(contents.graph)
        return
    if not contents.state_dicts:
        yield "a program: it is not opened, because that can run code from the file"
        return
    for match in contents.matches[:LISTED]:
        width = "" if match.width == 1.0 else f", width {match.width:g}"
        prefix = " and ".join(prefix for prefix in match.prefixes if prefix)
        removed = f", prefix {prefix}" if prefix else ""
        yield f"fits: {match.architecture}{width}{removed}"
    if len(contents.matches) > LISTED:
        yield f"  and {len(contents.matches) - LISTED} more; --json lists all"
    if not contents.matches:
        yield "fits: no network of the registry, torchvision or timm"
    elif not contents.matches[0].architecture.startswith("timm:"):
        yield "of timm, only networks named in the file's name were tried"


def _state_dict_lines(state: StateDictContents) -> Iterator[str]:
    types = ", ".join(f"{count} {name}" for name, count in state.types.items())
    yield f"state dict{f' {state.key}' if state.key else ''}: {state.tensors} tensors ({types})"
    yield (
        f"  {state.parameters:,} parameters, {state.batch_norms} batch norms, "
        f"input channels: {state.channels or 'unknown'}, classes: {state.classes or 'unknown'}"
    )


def _graph_lines(graph: GraphDescription) -> Iterator[str]:
    layout = f" ({graph.layout})" if graph.layout else ""
    yield f"input: {graph.input}, {graph.input_type} {_sizes(graph.input_sizes)}{layout}"
    for name, sizes in graph.outputs.items():
        yield f"output: {name} {_sizes(sizes)}"
    yield f"opset {graph.opset}, {graph.batch_norms} batch norms"
    if graph.normalizes:
        yield f"normalizes its images itself: {', '.join(graph.normalizes)}"
    operators = ", ".join(f"{count} {name}" for name, count in graph.operators.items())
    yield f"operators: {operators}"


def _sizes(sizes: tuple[int | None, ...]) -> str:
    return f"[{', '.join('free' if size is None else str(size) for size in sizes)}]"
