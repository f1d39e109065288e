"""The layers, additions and batch norms that one forward pass of a network calls."""

from collections import Counter
from functools import cached_property

from nncf.common.graph import NNCFGraphEdge, NNCFNode
from torch import Tensor

from pipeline.tracing import operations as op
from pipeline.tracing.fixed_form import (
    COMPUTED,
    NETWORK_PREFIX,
    PRODUCT,
    STORED_PREFIX,
    FixedForm,
)
from pipeline.tracing.layers import Addition, Call, FloatFunction, Layer, Norm, Source, Use
from pipeline.tracing.multiply_adds import float_functions, groups, multiply_adds
from pipeline.tracing.trace import CONSTANT, Trace, made_by


class FunctionGraph:
    """The functions that a network calls for one batch of images, and how they are connected.

    Args:
        network: The network, with or without fake-quantizers; they are skipped.
        example: (N, C, H, W) images.
    """

    def __init__(self, network: FixedForm, example: Tensor) -> None:
        self.trace = Trace(network, example)

    @cached_property
    def layers(self) -> list[Layer]:
        """Return the layers in the order of their first call.

        Calls with the same weight are calls of one layer.
        """
        calls: dict[str, list[tuple[NNCFNode, Call]]] = {}
        for node in self.trace.nodes:
            call = self._call(node)
            if call is not None:
                calls.setdefault(self._layer_name(node, call), []).append((node, call))
        return [self._layer(name, found) for name, found in calls.items()]

    @cached_property
    def additions(self) -> list[Addition]:
        """Return the sums of two feature maps of equal shape."""
        found = []
        for node in self.trace.nodes:
            edges = self.trace.inputs[node.node_name]
            if node.node_type not in op.ADDITIONS or not {0, 1} <= edges.keys():
                continue
            first, second = edges[0], edges[1]
            shapes = tuple(first.tensor_shape), tuple(second.tensor_shape)
            if shapes[0] != shapes[1] or len(shapes[0]) != 4:
                continue
            if not self.trace.varies(first) or not self.trace.varies(second):
                continue
            uses = self.trace.use(first), self.trace.use(second)
            found.append(Addition(uses, any(map(self._is_convolution_output, (first, second)))))
        return found

    @cached_property
    def convolution_outputs(self) -> dict[Source, Source]:
        """Return the output of each convolution call, and that of the ReLU that alone reads it.

        Without such a ReLU, both are the same. Outputs that are logits are left out.
        """
        found = {}
        for layer in self.layers:
            if layer.is_product or layer.is_transposed or not layer.function.startswith("conv"):
                continue
            for call in layer.calls:
                output, readers = call.output, self.trace.readers[call.output]
                if len(readers) == 1 and readers[0].to_node.node_type in op.CLIPPING:
                    output = Source(readers[0].to_node.node_name, 0)
                if not self.trace.is_logits(output):
                    found[call.output] = output
        return found

    @cached_property
    def float_functions(self) -> list[FloatFunction]:
        """Return the calls that multiply activations but cannot be quantized."""
        return float_functions(self.trace)

    @property
    def multiply_adds(self) -> int:
        """Return the multiply-adds for one image, without element-wise functions."""
        parts: list[Layer | FloatFunction] = [*self.layers, *self.float_functions]
        return sum(part.multiply_adds for part in parts)

    @cached_property
    def norms(self) -> list[Norm]:
        """Return the batch norms with stored statistics."""
        with_statistics = [
            (node, self.trace.inputs[node.node_name][op.RUNNING_MEAN_PORT])
            for node in self.trace.nodes
            if node.node_type == op.BATCH_NORM
            and op.RUNNING_MEAN_PORT in self.trace.inputs[node.node_name]
        ]
        uses = Counter(mean.from_node.node_name for _, mean in with_statistics)
        return [
            Norm(
                node.node_name,
                mean.from_node.node_name,
                self._folds_into(node) if uses[mean.from_node.node_name] == 1 else None,
            )
            for node, mean in with_statistics
        ]

    @property
    def computed_weights(self) -> dict[int, str]:
        """Return the layer's name of each weight that is computed from parameters only.

        The key is the number of the call among the calls of layers with computed weights.
        """
        computed = [
            node
            for node in self.trace.nodes
            if node.node_type in op.LAYERS
            and op.WEIGHT_PORT in self.trace.inputs[node.node_name]
            and self._weight_edge(node).from_node.node_type not in (CONSTANT, *op.QUANTIZERS)
        ]
        found = {}
        for number, node in enumerate(computed):
            call = self._call(node)
            if call is not None and call.weight is not None:
                found[number] = self._layer_name(node, call)
        return found

    def _weight_edge(self, node: NNCFNode) -> NNCFGraphEdge:
        return self.trace.inputs[node.node_name][op.WEIGHT_PORT]

    @property
    def call_counts(self) -> Counter[str]:
        """Return the number of calls as `FixedForm.calls` describes them."""
        counts: Counter[str] = Counter()
        for node in self.trace.nodes:
            if node.node_type in op.LAYERS:
                edge = self.trace.inputs[node.node_name].get(op.WEIGHT_PORT)
                constant = edge is not None and edge.from_node.node_type == CONSTANT
                counts[edge.from_node.node_name if edge and constant else COMPUTED] += 1
            elif node.node_type in op.PRODUCTS:
                counts[PRODUCT] += 1
        return counts

    @property
    def called_weights(self) -> set[str]:
        """Return the names of all weights of layers, also if no input depends on the images."""
        return {
            name.removeprefix(NETWORK_PREFIX).removesuffix(".weight") for name in self.call_counts
        }

    @property
    def norms_of_batch_statistics(self) -> list[str]:
        """Return the modules that normalise with the statistics of each batch."""
        return [
            node.node_name.split(f"/{op.BATCH_NORM}/")[0].replace("/", ".").removeprefix("network.")
            for node in self.trace.nodes
            if node.node_type == op.BATCH_NORM
            and op.RUNNING_MEAN_PORT not in self.trace.inputs[node.node_name]
        ]

    def _call(self, node: NNCFNode) -> Call | None:
        """Return the layer call that a node makes, or None if it is not a layer."""
        edges, output = self.trace.inputs[node.node_name], Source(node.node_name, 0)
        if node.node_type in op.LAYERS and op.WEIGHT_PORT in edges and 0 in edges:
            weight = edges[op.WEIGHT_PORT]
            if not self.trace.varies(edges[0]):
                return None
            if not self.trace.varies(weight):
                return Call((self.trace.use(edges[0]),), self.trace.use(weight), output)
            return Call((self.trace.use(edges[0]), self.trace.use(weight)), None, output)
        if node.node_type in op.PRODUCTS:
            first = op.PRODUCTS[node.node_type]
            factors = [edges[port] for port in (first, first + 1) if port in edges]
            if len(factors) == 2 and all(map(self.trace.varies, factors)):
                return Call((self.trace.use(factors[0]), self.trace.use(factors[1])), None, output)
            varying = [edge for edge in factors if self.trace.varies(edge)]
            weights = [self.trace.use(edge) for edge in factors if not self.trace.varies(edge)]
            if len(varying) == len(weights) == 1 and self._weight_name(weights[0]) is not None:
                return Call((self.trace.use(varying[0]),), weights[0], output)
        return None

    def _layer_name(self, node: NNCFNode, call: Call) -> str:
        weight = self._weight_name(call.weight) if call.weight is not None else None
        if call.weight is None or weight is None:
            return str(node.node_name.removeprefix("network/"))
        if weight.startswith(STORED_PREFIX):
            return weight.removeprefix(STORED_PREFIX).replace("/", ".")
        edge = self.trace.inputs[call.weight.operation][call.weight.port]
        part = f"[{edge.output_port_id}]" if edge.from_node.node_type in {"chunk", "split"} else ""
        return weight.removeprefix(NETWORK_PREFIX).removesuffix(".weight") + part

    def _weight_name(self, weight: Use) -> str | None:
        """Return the parameter's name; for a computed weight, the first parameter it depends on."""
        pending = [weight.source.operation]
        while pending:
            operation = pending.pop(0)
            if self.trace.kinds[operation] == CONSTANT:
                return operation
            edges = self.trace.inputs[operation]
            pending += [edges[port].from_node.node_name for port in sorted(edges)]
        return None

    def _layer(self, name: str, found: list[tuple[NNCFNode, Call]]) -> Layer:
        node, call = found[0]
        edges = self.trace.inputs[node.node_name]
        weight = bias = None
        if call.weight is not None and self.trace.kinds[call.weight.source.operation] == CONSTANT:
            weight = call.weight.source.operation
        if node.node_type in op.LAYERS and op.BIAS_PORT in edges:
            made = self.trace.source(edges[op.BIAS_PORT])
            if self.trace.kinds[made.operation] == CONSTANT:
                bias = made.operation
        shape = None
        if call.weight is not None:
            shape = tuple(self.trace.inputs[call.weight.operation][call.weight.port].tensor_shape)
        axis = op.LAYERS.get(node.node_type)
        if axis is None:  # A matrix product: columns of a second factor.
            axis = -1 if call.weight is not None and call.inputs[0].port < call.weight.port else -2
            axis = axis + len(shape) if shape else 0
        return Layer(
            name=name,
            function=node.node_type,
            calls=tuple(call for _, call in found),
            weight=weight,
            weight_shape=shape,
            bias=bias,
            channel_axis=axis,
            groups=groups(node),
            multiply_adds=sum(multiply_adds(self.trace, node, call) for node, call in found),
        )

    def _is_convolution_output(self, edge: NNCFGraphEdge) -> bool:
        passed = op.MOVES | op.QUANTIZERS | {op.BATCH_NORM}
        node = edge.from_node
        while node.node_type in passed and 0 in self.trace.inputs[node.node_name]:
            node = self.trace.inputs[node.node_name][0].from_node
        return str(node.node_type).startswith("conv")

    def _folds_into(self, norm: NNCFNode) -> Layer | None:
        """Return the layer that a batch norm can be folded into, or None."""
        normalised = edge = self.trace.inputs[norm.node_name][0]
        if len(self.trace.readers[made_by(edge)]) != 1:
            return None
        if edge.from_node.node_type in op.FLATTENING and len(normalised.tensor_shape) == 2:
            edge = self.trace.inputs[edge.from_node.node_name][0]
        made = made_by(edge)
        layer = next((x for x in self.layers if any(c.output == made for c in x.calls)), None)
        if layer is None or layer.weight is None or len(layer.calls) != 1:
            return None
        if len(self.trace.readers[made]) != 1 or layer.function not in op.LAYERS:
            return None
        if layer.function == "linear":
            fits = len(normalised.tensor_shape) == 2
        else:
            fits = edge is normalised
        return layer if fits and self._channels(layer) == normalised.tensor_shape[1] else None

    def _channels(self, layer: Layer) -> int:
        assert layer.weight_shape is not None
        channels = layer.weight_shape[layer.channel_axis]
        return channels * (layer.groups if layer.is_transposed else 1)
