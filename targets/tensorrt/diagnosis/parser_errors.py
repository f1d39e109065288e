"""What TensorRT's ONNX parser refused, node by node, from a log.

trtexec prints of every node that it cannot read (onnx-tensorrt, ModelImporter.cpp; as quoted in
NVIDIA/TensorRT#1775 for 8.0, open-mmlab/mmdeploy#2758 for 10):

    [E] [TRT] ModelImporter.cpp:720: While parsing node number 2 [Custom -> "41"]:
    [E] [TRT] ModelImporter.cpp:721: --- Begin node ---
    ...
    [E] [TRT] ModelImporter.cpp:726: ERROR: builtin_op_importers.cpp:4643 In function import...:
    [8] Assertion failed: creator && "Plugin not found, are the plugin name, version, ...?"

The build through Python says it in the same words, so that one reader reads both.
"""

import re
from dataclasses import dataclass

from base.one_line import one_line

NODE_PATTERN = re.compile(r'While parsing node number (-?\d+) \[(\S*)(?: -> "([^"]*)")?\]:?')

REASON_PATTERNS = (
    re.compile(r"ERROR: \S+ In function [^\n]*\n\s*(?:\[\d+\] *)?([^\n]+)"),
    re.compile(r"ERROR: ([^\n]+)"),
    re.compile(r"(Assertion failed: [^\n]+)"),
    re.compile(r"(Invalid Node - [^\n]+)"),
)

MESSAGE_PATTERN = re.compile(r'&& "([^"]+)"')
"""What an assertion says beside its condition."""


@dataclass(frozen=True)
class ParserError:
    """A node that TensorRT cannot read.

    Attributes:
        node: Its number in the graph; -1 for an error of none.
        op: Its operator.
        output: Its first output; "" where it has none.
        reason: Why.
    """

    node: int
    op: str
    output: str
    reason: str

    def __str__(self) -> str:
        """A few words."""
        if self.node < 0:
            return self.reason
        made = f' -> "{self.output}"' if self.output else ""
        return f"node {self.node} ({self.op}{made}): {self.reason}"


def parser_error_line(node: int, op: str, output: str, reason: str) -> str:
    """A line of a log that `parser_errors` reads."""
    line = f'While parsing node number {node} [{op} -> "{output}"]: ERROR: {one_line(reason)}'
    return f"[E] {line}"


def parser_errors(log: str) -> list[ParserError]:
    """Every node that a log names, once, with the first reason given for it."""
    found = list(NODE_PATTERN.finditer(log))
    errors: dict[int | str, ParserError] = {}
    for index, match in enumerate(found):
        end = found[index + 1].start() if index + 1 < len(found) else len(log)
        node, reason = int(match[1]), _reason(log[match.end() : end])
        error = ParserError(node, match[2], match[3] or "", reason)
        errors.setdefault(node if node >= 0 else reason, error)
    return list(errors.values())


def _reason(text: str) -> str:
    for pattern in REASON_PATTERNS:
        found = pattern.search(text)
        if found:
            message = MESSAGE_PATTERN.search(found[1])
            return (message or found)[1].strip()
    return "no reason given"
