"""The roles that artifacts have in a run."""

from pipeline.step_types import Role

TEACHER = Role("teacher")
STUDENT = Role("student")
GENERATOR = Role("generator")
FRESH_GENERATOR = Role("fresh-generator")
QUANTIZED = Role("quantized")
QUANTIZERS = Role("quantizers")
GOLDEN = Role("golden")

BUNDLE_GOLDEN = Role("bundle-golden")
"""The probes that travel with a bundle, which are fewer if the images are large."""

GRAPH_FORMS = ("fp32", "fp16", "int8", "int8-float-weights", "int8-fp16", "int8-cpu")
"""The forms in which the student is exported."""

GRAPHS = {form: Role(form) for form in GRAPH_FORMS}

PRECISIONS = ("int8", "fp32")
"""The precisions compiled for each CPU target. The first one decides the run's verdict."""


def compiled(precision: str, target: str) -> Role:
    """Return the role of a compiled model."""
    return Role("compiled", precision, target)


def verdict(target: str) -> Role:
    """Return the role of a target's verdict."""
    return Role("verdict", target=target)
