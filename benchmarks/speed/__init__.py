"""Speed: int8 against float on this CPU, overhead of the training loop, bounds for each Jetson."""
