"""The quantization table: what eight and four bits cost, by method."""
