"""Rows of the quantization table for tests."""


def build_row(choice, quantized, seed=0):
    """Return a row with made-up figures."""
    return {
        "teacher": "cifar10_resnet20",
        "choice": choice,
        "weight_bits": 8,
        "activation_bits": 8,
        "seed": seed,
        "fp32": 90.0,
        "quantized": quantized,
        "seconds": 12.0,
        "threads": 1,
        "machine": "this one",
    }
