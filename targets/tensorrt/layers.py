"""The layers of an engine, from the JSON of TensorRT's inspector, versions 8, 10 and 11."""

import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

TYPE_PATTERNS = (
    ("int8", re.compile(r"int8", re.IGNORECASE)),
    ("fp16", re.compile(r"fp16|half", re.IGNORECASE)),
    ("fp32", re.compile(r"fp32|float", re.IGNORECASE)),
)
"""Types have many spellings: "Thirty-two wide channel vectorized row major Int8 format", "Half"."""

WEIGHTED_PATTERN = re.compile(r"conv|gemm|matmul|matrixmultiply|fullyconnected", re.IGNORECASE)

OPAQUE_PATTERN = re.compile(r"foreignnode|myelin", re.IGNORECASE)
"""Names of layers that another compiler fused; the inspector shows no details of them."""


class DetailsMissingError(ValueError):
    """The inspector lists names only: the engine was built without detailed profiling verbosity."""


@dataclass(frozen=True)
class Layer:
    """A layer of an engine, after fusion.

    Attributes:
        name: The names of all fused operators.
        kind: The inspector's layer type.
        tactic: The chosen kernel; "" if the inspector does not list it.
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
        """Whether it contains fused layers without details."""
        named = OPAQUE_PATTERN.search(self.kind) or OPAQUE_PATTERN.search(self.name)
        return not self.reformats and bool(named)

    @property
    def reformats(self) -> bool:
        """Whether it only changes type or memory layout."""
        return self.kind.lower() == "reformat" or self.name.startswith("Reformatting CopyNode")


def parse_layers(document: dict[str, Any]) -> list[Layer]:
    """Return the layers of an engine, in order.

    Args:
        document: Parsed JSON from `get_engine_information` or `--exportLayerInfo`.

    Raises:
        DetailsMissingError: If it contains names only.
    """
    rows = document["Layers"]
    if any(isinstance(row, str) for row in rows):
        raise DetailsMissingError("the inspector's layer table contains names only")
    return [_layer(row) for row in rows]


def float_layers(table: list[Layer]) -> list[str]:
    """Return the names of convolutions and linear layers with a non-int8 input."""
    return [layer.name for layer in table if layer.weighted and layer.takes != "int8"]


def reformat_layers(table: list[Layer]) -> list[str]:
    """Return the names of layers that only change type or memory layout."""
    return [layer.name for layer in table if layer.reformats]


def opaque_layers(table: list[Layer]) -> list[str]:
    """Return the names of layers without details."""
    return [layer.name for layer in table if layer.opaque]


def layer_summary(table: list[Layer]) -> str:
    """Return one line for a log: the number of layers per type and of reformats."""
    types = Counter(layer.takes for layer in table if layer.weighted)
    counted = ", ".join(f"{types[name]} {name}" for name in sorted(types))
    line = f"layers with weights: {counted or 'none'}; reformats: {len(reformat_layers(table))}"
    closed = opaque_layers(table)
    return f"{line}; no details of {', '.join(closed)}" if closed else line


def _layer(row: dict[str, Any]) -> Layer:
    kind = row.get("ParameterType") or row.get("LayerType", "")
    taken, given = row.get("Inputs") or [{}], row.get("Outputs") or [{}]
    return Layer(row["Name"], kind, row.get("TacticName", ""), _type(taken[0]), _type(given[0]))


def _type(tensor: dict[str, Any]) -> str:
    """Read the type: a field of its own since 11, part of the format's description before."""
    text = tensor.get("DataType") or tensor.get("Datatype") or tensor.get("Format/Datatype", "")
    return next((name for name, pattern in TYPE_PATTERNS if pattern.search(text)), "other")
