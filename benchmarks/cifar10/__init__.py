"""The CIFAR-10 tables: recipes on published teacher-student pairs. The runs are sized for a GPU."""
