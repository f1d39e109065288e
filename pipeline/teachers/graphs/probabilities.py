"""Remove the softmax at the end of a graph: distillation needs logits."""

from math import prod

from onnx import ModelProto, NodeProto, helper, shape_inference

from pipeline.teachers.graphs.graph_file import GraphFile

KEEPING = frozenset({"Cast", "Flatten", "Identity", "Reshape", "Squeeze"})
"""Operators between a softmax and the output that change no value."""

SINGLE_AXIS_OPSET = 13
"""From this operator set on, a softmax covers one axis; before, all axes from `axis` on."""


def without_softmax(file: GraphFile, output: str, shape: tuple[int, ...]) -> str | None:
    """Take a softmax at the end of a graph out of it.

    `Log` after `Softmax` is removed too. A softmax over groups of classes stays: it changes which
    class is the largest.

    Args:
        file: The graph. It is changed in place.
        output: Name of the output.
        shape: Shape of a batch of images as the graph takes them, its first size the batch size.

    Returns:
        The removed operator, or None if there is none.
    """
    made_by = {name: node for node in file.model.graph.node for name in node.output}
    name, logarithm = output, None
    while name in made_by:
        node = made_by[name]
        is_last = node.op_type == "LogSoftmax" and logarithm is None
        if is_last or node.op_type == "Softmax":
            if not _covers_all_classes(file, node, shape):
                return None
            removed = _removed(node)
            return removed if logarithm is None else f"{_removed(logarithm)} of {removed}"
        if node.op_type == "Log" and logarithm is None:
            logarithm = node
        elif node.op_type not in KEEPING:
            return None
        name = node.input[0]
    return None


def _covers_all_classes(file: GraphFile, softmax: NodeProto, shape: tuple[int, ...]) -> bool:
    """Return whether a softmax normalizes all values of an image together; False if unknown."""
    sizes = _sizes(file, softmax.input[0], shape)
    if sizes is None:
        return False
    default = -1 if file.opset >= SINGLE_AXIS_OPSET else 1
    given = {a.name: helper.get_attribute_value(a) for a in softmax.attribute}
    axis = int(given.get("axis", default))
    axis += len(sizes) if axis < 0 else 0
    last = axis + 1 if file.opset >= SINGLE_AXIS_OPSET else len(sizes)
    batch = shape[0]
    keeps_images_apart = batch == 1 or (axis > 0 and sizes[0] == batch)
    return keeps_images_apart and prod(sizes[axis:last]) * batch == prod(sizes)


def _sizes(file: GraphFile, name: str, shape: tuple[int, ...]) -> list[int] | None:
    """Return the sizes of a value for a shape of the graph's input; None if they are unknown."""
    model = ModelProto()
    model.CopyFrom(file.model)
    # The sizes in the file may be free or wrong.
    del model.graph.value_info[:]
    del model.graph.output[:]
    model.graph.output.add(name=name)
    images = next(value for value in model.graph.input if value.name == file.input)
    images.CopyFrom(helper.make_tensor_value_info(file.input, file.input_type, shape))
    try:
        found = shape_inference.infer_shapes(model, data_prop=True).graph.output[0]
    except Exception:  # Of several types. The conversion finds what is wrong.
        return None
    dims = found.type.tensor_type.shape.dim
    known = all(dim.HasField("dim_value") for dim in dims)
    return [dim.dim_value for dim in dims] if dims and known else None


def _removed(node: NodeProto) -> str:
    """Make a node pass its input on, and return its operator."""
    operator = str(node.op_type)
    node.CopyFrom(helper.make_node("Identity", node.input[:1], node.output[:1], name=node.name))
    return operator
