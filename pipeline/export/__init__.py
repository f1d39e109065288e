"""Conversion of a torch module to an ONNX graph: batch-norm folding and the export itself."""

from base.lazy_names import lazy_names

__all__ = ["WithPreprocessing", "export_onnx", "fold_batch_norms"]

__getattr__ = lazy_names(
    __name__,
    {
        "WithPreprocessing": "onnx_export",
        "export_onnx": "onnx_export",
        "fold_batch_norms": "batch_norm_folding",
    },
)
