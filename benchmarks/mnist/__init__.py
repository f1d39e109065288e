"""The MNIST table: every recipe under an equal number of teacher passes."""
