"""Students that start with the teacher's weights or with random ones, scored on MNIST."""
