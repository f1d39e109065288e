"""The CIFAR-10 tables: recipes on published teacher-student pairs, sized for a GPU."""
