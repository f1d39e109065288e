"""Load a teacher whose file holds the network."""

import json
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from base.errors import InputError
from base.suggest import did_you_mean
from dfkd.compatibility import lacking_batch_norm
from dfkd.images import ImageSpec
from dfkd.models.forward_pass import batch_norms
from dfkd.recipes import RECIPES
from pipeline.config.network_sections import TeacherSection
from pipeline.teachers.checkpoint import DAMAGED_ARCHIVE
from pipeline.teachers.file_kind import file_kind
from pipeline.teachers.graphs.comparison import compare, compared_images
from pipeline.teachers.graphs.conversion import convert
from pipeline.teachers.graphs.errors import GraphError
from pipeline.teachers.graphs.graph_file import (
    GraphFile,
    keep_only,
    likely_logits,
    read_graph_file,
)
from pipeline.teachers.graphs.input_layout import GraphInput
from pipeline.teachers.graphs.network import GraphNetwork
from pipeline.teachers.graphs.normalization import normalizing_operators
from pipeline.teachers.graphs.probabilities import without_softmax
from pipeline.teachers.graphs.programs import (
    program_to_onnx,
    require_trust,
    torchscript_to_onnx,
)

LOG_FLOOR = 1e-8
"""Smallest probability whose logarithm is taken."""


@dataclass(frozen=True)
class GraphTeacher:
    """A network that was made from a graph.

    Attributes:
        network: The network, in eval mode, on the CPU. Its weights have gradients.
        onnx: The graph as an ONNX file.
        notes: What was found in the graph and matters for the run, one line each.
    """

    network: nn.Module
    onnx: bytes
    notes: tuple[str, ...]


def load_graph(
    content: bytes, section: TeacherSection, spec: ImageSpec, *, compared: bool = True
) -> GraphTeacher:
    """Make a network from a file that holds one.

    Args:
        content: The bytes of an ONNX file, an exported program or a TorchScript file.
        section: The run file's `teacher`.
        spec: The images.
        compared: Whether to compare the network with ONNX Runtime.

    Raises:
        InputError: If the file holds no network, cannot be converted, or does not fit the run file.
    """
    try:
        onnx = _as_onnx(content, section, spec)
        file = read_graph_file(onnx)
        output = _chosen_output(file, section)
        keep_only(file.model.graph, output)
        given = GraphInput.of(file, spec)
        images = compared_images(spec)
        shape = (given.batch or 2, *given.arrays(images).shape[1:])
        removed = without_softmax(file, output, shape)
        conversion = convert(file, given, spec, output)
        network: nn.Module = conversion.network
        notes = list(_notes(file, given, removed, conversion.network))
        if compared:
            logits = compare(file, given, images, conversion)
        else:
            with torch.no_grad():
                logits = network(images)
    except GraphError as error:
        raise InputError(f"teacher {section.weights}: {error}") from None
    if _are_probabilities(logits):
        network.register_forward_hook(_logarithm)
        notes.append("its outputs are probabilities; their logarithms are used as logits")
    return GraphTeacher(network, onnx, tuple(notes))


def _as_onnx(content: bytes, section: TeacherSection, spec: ImageSpec) -> bytes:
    kind = file_kind(content)
    if kind == "onnx":
        return content
    if kind == "exported-program":
        require_trust("an exported program", trusted=section.trusted)
        return program_to_onnx(content)
    if kind == "torchscript":
        require_trust("TorchScript", trusted=section.trusted)
        return torchscript_to_onnx(content, spec)
    if kind == "damaged archive":
        raise GraphError(DAMAGED_ARCHIVE)
    if kind == "unknown":
        raise GraphError(
            "is none of the known formats (safetensors, torch.save, ONNX, .pt2, TorchScript); "
            "correct teacher.weights"
        )
    raise GraphError("holds weights only; add teacher.architecture, such as lenet5")


def _chosen_output(file: GraphFile, section: TeacherSection) -> str:
    """Return the name of the output that the run file chooses."""
    names, chosen = file.outputs, section.output
    if chosen is None and len(names) == 1:
        return names[0]
    listed = ", ".join(names)[:200]
    if chosen is None:
        raise GraphError(
            f"has {len(names)} outputs ({listed}); set teacher.output to the one with the logits, "
            f"such as output: {json.dumps(likely_logits(file.model.graph))}"
        )
    if isinstance(chosen, int) and chosen < len(names):
        return names[chosen]
    if chosen not in names:
        raise GraphError(f"has no output {chosen!r}{_hint(chosen, names)}; its outputs: {listed}")
    return str(chosen)


def _hint(chosen: int | str, names: tuple[str, ...]) -> str:
    if str(chosen) in names:
        return f", but one of this name; set teacher.output: {json.dumps(str(chosen))}"
    return did_you_mean(str(chosen), names)


def _notes(
    file: GraphFile, given: GraphInput, removed: str | None, network: GraphNetwork
) -> list[str]:
    found = []
    if given.layout != "NCHW":
        found.append(f"takes its images as {given.layout}")
    operators = normalizing_operators(file)
    if operators:
        found.append(f"normalizes its images itself ({', '.join(operators)})")
    if removed is not None:
        found.append(f"{removed} at the end is left out, so that it returns logits")
    if not batch_norms(network):
        lacking = [name for name, recipe in RECIPES.items() if lacking_batch_norm(recipe)]
        found.append(
            "has no batch norms, which an export usually folds into other layers; recipes that "
            f"cannot be used: {', '.join(lacking)}"
        )
    return found


def _are_probabilities(logits: Tensor) -> bool:
    """Return whether all rows (N, K) are distributions."""
    if logits.ndim != 2 or logits.shape[1] < 2 or bool((logits < 0).any()):
        return False
    return torch.allclose(logits.sum(1), torch.ones(len(logits)), atol=1e-4)


def _logarithm(network: nn.Module, inputs: object, probabilities: Tensor) -> Tensor:
    return probabilities.clamp_min(LOG_FLOOR).log()
