"""Read and rewrite ONNX graphs."""

__all__ = [
    "bias_grid",
    "convolution_outputs",
    "convolution_pads",
    "flattening",
    "graph_file",
    "half_precision",
    "int8_weights",
    "residual_additions",
    "structure",
    "topology",
]
