"""EfficientNet-Lite0 on photographs, quantized by the project and by other tools."""
