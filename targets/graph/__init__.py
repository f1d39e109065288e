"""Read and rewrite ONNX graphs."""

__all__ = [
    "bias_grid",
    "graph_file",
    "half_precision",
    "int8_weights",
    "residual_additions",
    "topology",
]
