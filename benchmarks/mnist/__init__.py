"""The MNIST table: every recipe with the same number of teacher passes."""
