"""The precisions in which a run compiles its student for a CPU."""

PRECISIONS = ("int8", "fp32")
"""Names of the models of each CPU target. The run's verdict is on the first."""
