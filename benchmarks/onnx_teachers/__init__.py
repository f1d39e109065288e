"""Runs from an ONNX file alone, scored on real test images."""
