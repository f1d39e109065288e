"""Find the nodes that TensorRT's ONNX parser refused in a log.

trtexec prints for every node that it cannot parse (onnx-tensorrt, ModelImporter.cpp; quoted in
NVIDIA/TensorRT#1775 for 8.0, open-mmlab/mmdeploy#2758 for 10):

    [E] [TRT] ModelImporter.cpp:720: While parsing node number 2 [Custom -> "41"]:
    [E] [TRT] ModelImporter.cpp:721: --- Begin node ---
    ...
    [E] [TRT] ModelImporter.cpp:726: ERROR: builtin_op_importers.cpp:4643 In function import...:
    [8] Assertion failed: creator && "Plugin not found, are the plugin name, version, ...?"

A build with the Python bindings prints the same format.
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
"""The message of an assertion, after its condition."""


@dataclass(frozen=True)
class ParserError:
    """A node that TensorRT cannot parse.

    Attributes:
        node: Its index in the graph; -1 for an error that concerns no node.
        op: Its operator.
        output: Its first output; "" if it has none.
        reason: Why.
    """

    node: int
    op: str
    output: str
    reason: str

    def __str__(self) -> str:
        """Return the node and the reason in a few words."""
        if self.node < 0:
            return self.reason
        arrow = f' -> "{self.output}"' if self.output else ""
        return f"node {self.node} ({self.op}{arrow}): {self.reason}"


def parser_error_line(node: int, op: str, output: str, reason: str) -> str:
    """Return a log line that `parser_errors` can read."""
    line = f'While parsing node number {node} [{op} -> "{output}"]: ERROR: {one_line(reason)}'
    return f"[E] {line}"


def parser_errors(log: str) -> list[ParserError]:
    """Return every node that a log names, once, with the first reason for it."""
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
