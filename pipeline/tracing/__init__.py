"""Trace a network: find its layers by running it once, and prepare it for quantization and export.

Everything that depends on the names in NNCF's function graph is in this package.
"""

from base.lazy_names import lazy_names

__all__ = ["FixedForm", "FunctionGraph", "Layer", "Source", "Use", "fixed_form"]

__getattr__ = lazy_names(
    __name__,
    {
        "FixedForm": "fixed_form",
        "FunctionGraph": "function_graph",
        "Layer": "layers",
        "Source": "layers",
        "Use": "layers",
        "fixed_form": "batch_norm_folding",
    },
)
