"""Count multiply-adds, and find calls with multiply-adds that cannot be quantized."""

import math

from nncf.common.graph import NNCFNode

from pipeline.tracing import operations as op
from pipeline.tracing.fixed_form import NETWORK_PREFIX
from pipeline.tracing.layers import Call, FloatFunction, Source
from pipeline.tracing.trace import CONSTANT, Trace


def groups(node: NNCFNode) -> int:
    """Return the number of groups of a convolution; 1 for other layers."""
    if not node.node_type.startswith("conv"):
        return 1
    args, named = node.layer_attributes.op_args, node.layer_attributes.op_kwargs
    default = args[op.GROUPS_PORT] if len(args) > op.GROUPS_PORT else 1
    return int(named.get("groups", default))


def multiply_adds(trace: Trace, node: NNCFNode, call: Call) -> int:
    """Return the multiply-adds of one call of a layer, for one image."""
    edges = trace.inputs[node.node_name]
    made = trace.readers[call.output]
    if not made:
        return 0
    outputs = math.prod(made[0].tensor_shape)
    if node.node_type in op.LAYERS and call.weight is not None:
        weight = edges[op.WEIGHT_PORT].tensor_shape
        if "transpose" in node.node_type:
            outputs = math.prod(edges[0].tensor_shape)
        return int(outputs * math.prod(weight[1:])) // trace.batch
    first = edges[op.PRODUCTS.get(node.node_type, 0)].tensor_shape
    return int(outputs * first[-1]) // trace.batch


def float_functions(trace: Trace) -> list[FloatFunction]:
    """Return the calls that multiply activations but cannot be quantized."""
    found = []
    for node in trace.nodes:
        edges = trace.inputs[node.node_name]
        if node.node_type in op.UNQUANTIZED and any(map(trace.varies, edges.values())):
            matrices = [
                edge
                for edge in edges.values()
                if edge.from_node.node_type == CONSTANT and len(edge.tensor_shape) > 1
            ]
            name = node.node_name.removeprefix("network/")
            if matrices:
                weight = matrices[0].from_node.node_name.removeprefix(NETWORK_PREFIX)
                name = weight.rpartition(".")[0] or name
            made = trace.readers[Source(node.node_name, 0)]
            outputs = math.prod(made[0].tensor_shape) if made else 0
            width = made[0].tensor_shape[-1] if made else 1
            factor = sum(math.prod(edge.tensor_shape) for edge in matrices) or width
            size = outputs * factor // (width * trace.batch)
            found.append(FloatFunction(name, node.node_type, size))
    return found
