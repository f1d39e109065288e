"""The science: data-free distillation and quantization. Tensors in, tensors out.

Nothing here reads files, parses YAML or knows of Prefect.
"""
