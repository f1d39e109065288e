"""Every kind of failure has a one-line diagnosis and a remedy."""

import pytest

from targets.tensorrt.diagnosis.diagnose import diagnose, diagnose_timeout
from targets.tensorrt.diagnosis.known_failures import KNOWN_FAILURES
from targets.tensorrt.diagnosis.parser_errors import parser_error_line, parser_errors
from tests.support.trtexec.flags import FLAGS

LOG = "build.int8.log"

LINES = {
    "no-dla-library": "ImportError: libnvdla_compiler.so: cannot open shared object file",
    "unknown-flag": "[E] Unknown option: --workspace 1024",
    "unsupported-node": "[E] [TRT] ModelImporter.cpp:768: No importer registered for op: Mish",
    "zero-point": "[E] Assertion failed: shiftIsAllZeros(zeroPoint)",
    "no-implementation": "[E] Error[10]: Could not find any implementation for node conv1 + relu1.",
    "disk-full": "[E] Error writing: No space left on device",
    "out-of-memory": "[E] Error[1]: Cuda failure: 2 (out of memory)",
    "not-on-this-device": "[E] Your GPU does not support INT8",
    "foreign-engine": "[E] The engine plan file is not compatible with this version of TensorRT",
}


@pytest.mark.parametrize("kind", LINES)
def test_diagnose_recognizes_every_known_line(kind):
    noise = "[I] === Build Options ===\n[V] [TRT] Registered plugin\n"
    failure = diagnose(
        f"{noise}{LINES[kind]}\n&&&& FAILED TensorRT.trtexec [TensorRT v8502]", 1, LOG
    )
    assert failure.kind == kind
    assert "\n" not in str(failure) and "{" not in str(failure)
    assert failure.remedy


def test_every_known_failure_has_an_example():
    assert {failure.kind for _, failure in KNOWN_FAILURES} == LINES.keys()


@pytest.mark.parametrize(
    ("kind", "named"),
    [
        ("unknown-flag", "--workspace"),
        ("unsupported-node", "Mish"),
        ("no-implementation", "conv1 + relu1"),
    ],
)
def test_diagnosis_names_the_flag_operator_or_node(kind, named):
    assert named in diagnose(LINES[kind], 1, LOG).diagnosis


@pytest.mark.parametrize(
    ("code", "kind", "remedy", "transient"),
    [
        (-9, "killed", "stop other programs, or add swap space", True),
        (-11, "crashed", "report it with build.int8.log", False),
        (1, "unclear", "see build.int8.log", False),
    ],
)
def test_diagnose_uses_the_exit_code_without_an_error(code, kind, remedy, transient):
    failure = diagnose("[I] Building", code, LOG)
    assert (failure.kind, failure.remedy, failure.transient) == (kind, remedy, transient)


def test_diagnose_quotes_the_last_line_of_an_exception():
    failure = diagnose("Traceback (most recent call last):\nKeyError: 'x'\n", 1, LOG)
    assert "last output: KeyError: 'x'" in failure.diagnosis


def test_diagnose_timeout_quotes_the_last_line():
    failure = diagnose_timeout("[I] Building\n[V] Tactic 7\n\n", 3600)
    assert (failure.kind, failure.transient) == ("hung", True)
    assert "stopped after 3600 s, last output: [V] Tactic 7" in failure.diagnosis
    assert "nothing" in diagnose_timeout("", 5).diagnosis


def test_diagnose_quotes_an_unknown_error():
    failure = diagnose("[W] no\n[11/22/2026-12:00:00] [E] [TRT] New\n[E] and more", 1, LOG)
    assert (failure.kind, failure.diagnosis) == ("refused", "New")
    assert failure.remedy == "see build.int8.log for the full output"


@pytest.mark.parametrize(
    "mark", ["[W] [TRT]", "[TRT] [W]", "[11/22/2026-12:00:00] [V] [TRT]", "[I]"]
)
def test_diagnose_ignores_lines_below_error(mark):
    log = f"{mark} Skipping tactic 3 due to OutOfMemory\n[E] Error[4]: the real one"
    failure = diagnose(log, 1, LOG)
    assert (failure.kind, failure.transient) == ("refused", False)
    assert failure.diagnosis == "Error[4]: the real one"


@pytest.mark.parametrize("mark", ["[E] ", "[F] [TRT] ", "[TRT] [E] ", ""])
def test_diagnose_reads_errors_and_unmarked_lines(mark):
    assert diagnose(f"[I] x\n{mark}out of memory", 1, LOG).kind == "out-of-memory"


def test_diagnose_ignores_the_command_line():
    log = "&&&& RUNNING TensorRT.trtexec [TensorRT v8502] # trtexec --onnx=/OutOfMemory/g.onnx"
    assert diagnose(log, 1, LOG).kind == "unclear"


PARSER_LOG = """\
[09/24/2025-09:19:49] [TRT] [E] ModelImporter.cpp:963: While parsing node number 4 [A -> "/a"]:
[09/24/2025-09:19:49] [TRT] [E] ModelImporter.cpp:968: ERROR: onnxOpCheckers.cpp:819 In function f:
[6] creator && "Plugin not found, are the plugin name, version, and namespace correct?"
[E] While parsing node number 9 [Range -> "onnx::Add_674"]:
[TRT] [E] ModelImporter.cpp:775: Assertion failed: inputs.at(0).isInt32() && "only INT32!"
[E] While parsing node number 1 [DequantizeLinear -> "bias"]:
Invalid Node - bias_DequantizeLinear
"""
"""Parser errors in the formats of TensorRT 10, 8.2 and 11."""


def test_parser_errors_reads_the_format_of_every_version():
    log = (
        PARSER_LOG
        + parser_error_line(12, "Mish", "y", "first\nsecond")
        + "\n"
        + parser_error_line(-1, "graph", "", "no output")
    )
    errors = [(error.node, error.op, error.output, error.reason) for error in parser_errors(log)]
    assert errors == [
        (4, "A", "/a", "Plugin not found, are the plugin name, version, and namespace correct?"),
        (9, "Range", "onnx::Add_674", "only INT32!"),
        (1, "DequantizeLinear", "bias", "Invalid Node - bias_DequantizeLinear"),
        (12, "Mish", "y", "first second"),
        (-1, "graph", "", "no output"),
    ]
    failure = diagnose(log, 1, LOG)
    assert failure.kind == "unsupported-node"
    assert failure.diagnosis.startswith("TensorRT cannot parse 5 nodes of the graph: node 4 (A")
    assert failure.diagnosis.endswith("; and 2 more")
    assert "\n" not in str(failure)


def test_parser_errors_lists_a_node_once():
    assert len(parser_errors(PARSER_LOG * 2)) == 3


def test_diagnose_takes_the_remedy_from_a_nodes_reason():
    line = parser_error_line(
        3, "QuantizeLinear", "q", "Assertion failed: shiftIsAllZeros(zeroPoint)"
    )
    failure = diagnose(line, 1, LOG)
    assert failure.kind == "zero-point"
    assert "python -m targets lint" in failure.remedy


def test_only_full_disk_and_memory_are_transient():
    transient = {failure.kind for _, failure in KNOWN_FAILURES if failure.transient}
    assert transient == {"disk-full", "out-of-memory"}


def test_diagnose_ignores_the_help_text():
    """After an unknown flag, trtexec prints its help, which mentions memory, DLA and int8."""
    for version in FLAGS.values():
        text = "[E] Unknown option: --mystery\n" + "\n".join(version["flags"])
        assert diagnose(text, 1, LOG).kind == "unknown-flag"
