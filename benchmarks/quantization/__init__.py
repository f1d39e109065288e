"""The quantization table: the accuracy lost at 8 and at 4 bits, by method."""
