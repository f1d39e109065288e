"""The CIFAR-10 tables: recipes on published teacher-student pairs. Their runs need a GPU."""
