"""Conversion of a torch module to an ONNX graph, and the forms that a student has as a graph."""

from base.lazy_names import lazy_names

__all__ = ["WithPreprocessing", "export_onnx"]

__getattr__ = lazy_names(
    __name__,
    {
        "WithPreprocessing": "onnx_export",
        "export_onnx": "onnx_export",
    },
)
