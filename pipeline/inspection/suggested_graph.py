"""The lines of a suggested run file that describe an ONNX graph."""

from collections.abc import Iterator
from dataclasses import dataclass

from pipeline.inspection.input_guesses import guess_input
from pipeline.teachers.graphs.description import GraphDescription


@dataclass(frozen=True)
class _Images:
    """The images of a graph; None where the file does not say it."""

    channels: int | None
    height: int | None
    width: int | None


def output_lines(graph: GraphDescription) -> Iterator[str]:
    """Yield the lines about the logits, in the section `teacher`."""
    name, sizes = next(iter(graph.outputs.items()))
    if len(graph.outputs) > 1:
        yield f"  output: {name} # guess: also {', '.join(list(graph.outputs)[1:])}"
    classes = sizes[-1] if sizes else None
    yield f"  classes: {classes}" if classes else "  classes: 2 # guess: the file does not say it"


def input_lines(graph: GraphDescription) -> Iterator[str]:
    """Yield the section `input`."""
    images = _images(graph)
    channels = images.channels or 3
    guess = guess_input(None, channels, 0)
    height, width = images.height or guess.size[0], images.width or guess.size[1]
    known = None not in (images.channels, images.height, images.width)
    yield "input:"
    yield f"  shape: [{channels}, {height}, {width}]" + (
        "" if known else f" # guess: {guess.source}"
    )
    if graph.normalises or graph.input_type == "uint8":
        top = 255 if graph.input_type == "uint8" else 1
        yield f"  mean: {[0.0] * channels} # guess: the graph normalizes its images itself"
        yield f"  std: {[1.0] * channels} # guess: the graph normalizes its images itself"
        yield f"  value_range: [0, {top}] # guess"
        return
    yield f"  mean: {list(guess.mean)} # guess: {guess.source}"
    yield f"  std: {list(guess.std)} # guess: {guess.source}"


def _images(graph: GraphDescription) -> _Images:
    sizes = graph.input_sizes
    if len(sizes) != 4:
        return _Images(None, None, None)
    if graph.layout == "NHWC":
        return _Images(sizes[3], sizes[1], sizes[2])
    return _Images(sizes[1], sizes[2], sizes[3])
