"""Place, calibrate, train and restore fake-quantizers; adjust a network before that."""

from base.lazy_names import lazy_names

__all__ = [
    "Scheme",
    "describe",
    "logarithmic_ranges",
    "prepare",
    "restore",
    "snap_biases",
    "to_torch_quantizers",
]

__getattr__ = lazy_names(
    __name__,
    {
        "Scheme": "scheme",
        "describe": "fake_quantizers",
        "logarithmic_ranges": "learned_ranges",
        "prepare": "fake_quantizers",
        "restore": "fake_quantizers",
        "snap_biases": "bias_snapping",
        "to_torch_quantizers": "fake_quantizers",
    },
)
