"""Export a torch module to ONNX, and make all forms of a student's graph."""

from base.lazy_names import lazy_names

__all__ = ["WithPreprocessing", "export_onnx"]

__getattr__ = lazy_names(
    __name__,
    {
        "WithPreprocessing": "onnx_export",
        "export_onnx": "onnx_export",
    },
)
