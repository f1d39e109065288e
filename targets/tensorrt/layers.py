"""What an engine is made of, from the inspector's JSON, in the dialects of 8, 10 and 11."""

import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

TYPE_PATTERNS = (
    ("int8", re.compile(r"int8", re.IGNORECASE)),
    ("fp16", re.compile(r"fp16|half", re.IGNORECASE)),
    ("fp32", re.compile(r"fp32|float", re.IGNORECASE)),
)
"""Written in many ways: "Thirty-two wide channel vectorized row major Int8 format", "Half"."""

WEIGHTED_PATTERN = re.compile(r"conv|gemm|matmul|matrixmultiply|fullyconnected", re.IGNORECASE)

OPAQUE_PATTERN = re.compile(r"foreignnode|myelin", re.IGNORECASE)
"""Many layers given as one to another compiler, of which the inspector tells nothing."""


class DetailsMissingError(ValueError):
    """The inspector gave names only: the engine was built without detailed profiling verbosity."""


@dataclass(frozen=True)
class Layer:
    """A layer of an engine, after fusion.

    Attributes:
        name: Its name, of all that was fused into it.
        kind: As the inspector calls it.
        tactic: The kernel chosen, where it says so.
        takes: Type of its first input: "int8", "fp16", "fp32" or "other".
        gives: Type of its first output.
    """

    name: str
    kind: str
    tactic: str
    takes: str
    gives: str

    @property
    def weighted(self) -> bool:
        """Whether it is a convolution or a linear layer."""
        plain = not (self.reformats or self.opaque)
        return plain and bool(WEIGHTED_PATTERN.search(self.kind))

    @property
    def opaque(self) -> bool:
        """Whether it stands for layers of which nothing is told."""
        named = OPAQUE_PATTERN.search(self.kind) or OPAQUE_PATTERN.search(self.name)
        return not self.reformats and bool(named)

    @property
    def reformats(self) -> bool:
        """Whether it only changes type or layout."""
        return self.kind.lower() == "reformat" or self.name.startswith("Reformatting CopyNode")


def parse_layers(document: dict[str, Any]) -> list[Layer]:
    """The layers of an engine, in its order.

    Args:
        document: What `get_engine_information` or `--exportLayerInfo` gives, parsed.

    Raises:
        DetailsMissingError: When it holds names only.
    """
    rows = document["Layers"]
    if any(isinstance(row, str) for row in rows):
        raise DetailsMissingError("the inspector's table holds names only")
    return [_layer(row) for row in rows]


def float_layers(table: list[Layer]) -> list[str]:
    """Names of the convolutions and linear layers that do not work on int8."""
    return [layer.name for layer in table if layer.weighted and layer.takes != "int8"]


def reformat_layers(table: list[Layer]) -> list[str]:
    """Names of the layers that only change type or layout."""
    return [layer.name for layer in table if layer.reformats]


def opaque_layers(table: list[Layer]) -> list[str]:
    """Names of the layers inside which nobody can look."""
    return [layer.name for layer in table if layer.opaque]


def layer_summary(table: list[Layer]) -> str:
    """One line for a log: how many layers of which type, how many reformats."""
    types = Counter(layer.takes for layer in table if layer.weighted)
    counted = ", ".join(f"{types[name]} {name}" for name in sorted(types))
    line = f"layers with weights: {counted or 'none'}; reformats: {len(reformat_layers(table))}"
    closed = opaque_layers(table)
    return f"{line}; untold: what is inside {', '.join(closed)}" if closed else line


def _layer(row: dict[str, Any]) -> Layer:
    kind = row.get("ParameterType") or row.get("LayerType", "")
    taken, given = row.get("Inputs") or [{}], row.get("Outputs") or [{}]
    return Layer(row["Name"], kind, row.get("TacticName", ""), _type(taken[0]), _type(given[0]))


def _type(tensor: dict[str, Any]) -> str:
    """11 has a field for the type; before, it stands in the description of the format."""
    text = tensor.get("DataType") or tensor.get("Datatype") or tensor.get("Format/Datatype", "")
    return next((name for name, pattern in TYPE_PATTERNS if pattern.search(text)), "other")
