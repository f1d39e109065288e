"""Networks quantized without data at default settings, scored on the CIFAR-10 test images."""
