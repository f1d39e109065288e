"""The CIFAR-10 tables: recipes on known teacher-student pairs, sized for a GPU."""
