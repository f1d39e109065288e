"""The lines of a suggested run file that describe an ONNX graph."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import isqrt

import yaml

from pipeline.inspection.input_guesses import guess_input
from pipeline.teachers.graphs.description import GraphDescription

MAX_CHANNELS = 1_024
"""A file that says more is not believed: the run file lists a value for each channel."""

MAX_CLASSES = 10**6
"""The run file's limit."""


@dataclass(frozen=True)
class _Images:
    """The images of a graph; None where the file does not say it.

    Attributes:
        guess: What of it is a guess, as a comment; "" if the file says it.
    """

    channels: int | None
    height: int | None
    width: int | None
    guess: str = ""


def output_lines(graph: GraphDescription) -> Iterator[str]:
    """Yield the lines about the logits, in the section `teacher`."""
    sizes, others = graph.outputs[graph.logits], [n for n in graph.outputs if n != graph.logits]
    if others:
        also = ", ".join(map(_quoted, others))
        yield f"  output: {_quoted(graph.logits)} # guess: also {also}"
    classes = sizes[-1] if sizes else None
    if classes is None:
        yield "  classes: 2 # guess: the file does not say it"
    elif 2 <= classes <= MAX_CLASSES:
        yield f"  classes: {classes}"
    else:
        yield f"  classes: 2 # guess: the output has size {classes}, which no classifier has"


def _quoted(name: str) -> str:
    """Return a name of an untrusted file as YAML on one line, in ASCII.

    JSON is not enough: YAML refuses DEL, and reads surrogate pairs as two characters. Some packages
    change how all dumpers write texts with line breaks, so the style is part of the node.
    """
    node = yaml.ScalarNode("tag:yaml.org,2002:str", name, style='"')
    return yaml.serialize(node, Dumper=yaml.SafeDumper, width=float("inf")).strip()


def input_lines(graph: GraphDescription) -> Iterator[str]:
    """Yield the section `input`."""
    images = _images(graph)
    channels = images.channels or 3
    guess = guess_input(None, channels, 0)
    height, width = images.height or guess.size[0], images.width or guess.size[1]
    known = None not in (images.channels, images.height, images.width)
    source = images.guess if known else guess.source
    yield "input:"
    yield f"  shape: [{channels}, {height}, {width}]" + (f" # guess: {source}" if source else "")
    if graph.normalizes or graph.input_type == "uint8":
        yield f"  mean: {[0.0] * channels} # guess: the graph normalizes its images itself"
        yield f"  std: {[1.0] * channels} # guess: the graph normalizes its images itself"
        yield f"  value_range: [0, {graph.largest_value}] # guess"
        return
    yield f"  mean: {list(guess.mean)} # guess: {guess.source}"
    yield f"  std: {list(guess.std)} # guess: {guess.source}"


def _images(graph: GraphDescription) -> _Images:
    sizes = graph.input_sizes
    if graph.layout == "flat":
        return _unflattened(sizes[1])
    if graph.layout == "NHW":
        return _Images(1, sizes[1], sizes[2])
    if graph.layout is None:
        return _Images(None, None, None)
    channels, height, width = sizes[1:]
    if graph.layout == "NHWC":
        height, width, channels = sizes[1:]
    return _Images(channels if (channels or 0) <= MAX_CHANNELS else None, height, width)


def _unflattened(size: int | None) -> _Images:
    """Return images with so many values: square ones of 1 or 3 channels if possible, or a row."""
    if size is None:
        return _Images(None, None, None)
    comment = f"the input is flat, with {size} values"
    for channels in (1, 3):
        side = isqrt(size // channels)
        if channels * side**2 == size:
            return _Images(channels, side, side, comment)
    return _Images(1, 1, size, comment)
