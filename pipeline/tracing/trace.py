"""One forward pass of a network as a graph of function calls."""

from collections import defaultdict
from typing import Any

import torch
from nncf.common.graph import NNCFGraphEdge, NNCFNode
from nncf.torch.function_hook.nncf_graph.nncf_graph_builder import build_nncf_graph
from torch import Tensor

from pipeline.tracing import operations as op
from pipeline.tracing.fixed_form import FixedForm
from pipeline.tracing.layers import Source, Use
from pipeline.tracing.quiet import quiet

INPUT, CONSTANT, OUTPUT = "nncf_model_input", "nncf_model_const", "nncf_model_output"


class Trace:
    """The functions that a network calls for one batch of images, and how they are connected.

    Args:
        network: The network, with or without fake-quantizers.
        example: (N, C, H, W) images.

    Attributes:
        batch: The number of images.
        nodes: The function calls, in order, and the images and parameters that they read.
        inputs: The tensors that each call reads, by index of the argument.
        readers: Where each tensor is read.
        kinds: The function of each call.
        named: The nodes by name.
    """

    def __init__(self, network: FixedForm, example: Tensor) -> None:
        with quiet(), torch.no_grad():
            graph = build_nncf_graph(network, example)
        self.batch = len(example)
        self.nodes: list[NNCFNode] = graph.get_all_nodes()
        self.inputs: dict[str, dict[int, NNCFGraphEdge]] = {}
        self.readers: dict[Source, list[NNCFGraphEdge]] = defaultdict(list)
        self._outputs: dict[str, set[Source]] = defaultdict(set)
        for node in self.nodes:
            edges = {
                edge.input_port_id: edge
                for edge in graph.get_input_edges(node)
                if node.node_type not in op.FILLED
                and not (node.node_type in op.LIKE and edge.input_port_id)
            }
            self.inputs[node.node_name] = edges
            for edge in edges.values():
                self.readers[made_by(edge)].append(edge)
                self._outputs[edge.from_node.node_name].add(made_by(edge))
        self.kinds = {node.node_name: node.node_type for node in self.nodes}
        self.named = {node.node_name: node for node in self.nodes}
        self._varying = self._depending_on_images(graph)

    def is_read_only_by(self, source: Source, uses: set[tuple[str, int]]) -> bool:
        """Return whether only these arguments read a tensor, directly or after it was moved."""
        return all(
            (edge.to_node.node_name, edge.input_port_id) in uses
            or (
                edge.to_node.node_type in op.MOVES | op.QUANTIZERS
                and edge.input_port_id == 0
                and all(
                    self.is_read_only_by(moved, uses)
                    for moved in self._outputs[edge.to_node.node_name]
                )
            )
            for edge in self.readers[source]
        )

    def is_logits(self, source: Source) -> bool:
        """Return whether a tensor is the network's output, possibly after it was moved."""
        return any(
            edge.to_node.node_type == OUTPUT
            or (
                edge.to_node.node_type in op.MOVES
                and edge.input_port_id == 0
                and any(map(self.is_logits, self._outputs[edge.to_node.node_name]))
            )
            for edge in self.readers[source]
        )

    def is_image(self, source: Source) -> bool:
        """Return whether a tensor holds the images, possibly moved or average-pooled."""
        kind = self.kinds[source.operation]
        if kind == INPUT:
            return True
        edges = self.inputs[source.operation]
        passes = kind in op.MOVES | op.QUANTIZERS | op.AVERAGE_POOLS
        return passes and 0 in edges and self.is_image(made_by(edges[0]))

    def _depending_on_images(self, graph: Any) -> set[str]:
        varying = {node.node_name for node in self.nodes if node.node_type == INPUT}
        for node in graph.topological_sort():
            edges = self.inputs[node.node_name].values()
            if any(edge.from_node.node_name in varying for edge in edges):
                varying.add(node.node_name)
        return varying

    def varies(self, edge: NNCFGraphEdge) -> bool:
        """Return whether a tensor depends on the images."""
        return edge.from_node.node_name in self._varying

    def use(self, edge: NNCFGraphEdge) -> Use:
        """Return where a tensor is read, with its source."""
        return Use(edge.to_node.node_name, edge.input_port_id, self.source(edge))

    def source(self, edge: NNCFGraphEdge) -> Source:
        """Return the origin of a tensor, before moves and quantizers."""
        while edge.from_node.node_type in op.MOVES | op.QUANTIZERS:
            before = self.inputs[edge.from_node.node_name]
            if 0 not in before:
                break
            edge = before[0]
        return made_by(edge)


def made_by(edge: NNCFGraphEdge) -> Source:
    """Return the tensor that an edge of NNCF's graph passes on."""
    return Source(edge.from_node.node_name, edge.output_port_id)
