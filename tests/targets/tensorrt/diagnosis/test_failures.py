"""Every way of failing has one line: what happened, and what to do about it."""

import json

import pytest

from targets.tensorrt.diagnosis.failures import KNOWN_FAILURES, diagnose, diagnose_timeout
from targets.tensorrt.diagnosis.parser_errors import parser_error_line, parser_errors
from tests.support.quick_run import ROOT

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
def test_a_known_line_is_diagnosed(kind):
    noise = "[I] === Build Options ===\n[V] [TRT] Registered plugin\n"
    failure = diagnose(
        f"{noise}{LINES[kind]}\n&&&& FAILED TensorRT.trtexec [TensorRT v8502]", 1, LOG
    )
    assert failure.kind == kind
    assert "\n" not in str(failure) and "{" not in str(failure)
    assert failure.remedy


def test_every_diagnosis_has_a_line_here():
    assert {failure.kind for _, failure in KNOWN_FAILURES} == LINES.keys()


@pytest.mark.parametrize(
    ("kind", "named"),
    [
        ("unknown-flag", "--workspace"),
        ("unsupported-node", "Mish"),
        ("no-implementation", "conv1 + relu1"),
    ],
)
def test_the_thing_is_named(kind, named):
    assert named in diagnose(LINES[kind], 1, LOG).diagnosis


@pytest.mark.parametrize(
    ("code", "kind", "remedy", "again"),
    [
        (-9, "killed", "stop what else runs, or add swap", True),
        (-11, "crashed", "report it with build.int8.log", False),
        (1, "unclear", "see build.int8.log", False),
    ],
)
def test_without_a_word_the_exit_code_speaks(code, kind, remedy, again):
    failure = diagnose("[I] Building", code, LOG)
    assert (failure.kind, failure.remedy, failure.transient) == (kind, remedy, again)


def test_an_exceptions_last_line_is_told():
    failure = diagnose("Traceback (most recent call last):\nKeyError: 'x'\n", 1, LOG)
    assert "the last it said: KeyError: 'x'" in failure.diagnosis


def test_what_ran_too_long_tells_the_last_it_said():
    failure = diagnose_timeout("[I] Building\n[V] Tactic 7\n\n", 3600)
    assert (failure.kind, failure.transient) == ("hung", True)
    assert "stopped after 3600 s, the last it said was: [V] Tactic 7" in failure.diagnosis
    assert "nothing" in diagnose_timeout("", 5).diagnosis


def test_an_unknown_error_is_told_as_it_stands():
    failure = diagnose("[W] no\n[11/22/2026-12:00:00] [E] [TRT] New\n[E] and more", 1, LOG)
    assert (failure.kind, failure.diagnosis) == ("refused", "New")
    assert failure.remedy == "see build.int8.log for all of it"


@pytest.mark.parametrize(
    "mark", ["[W] [TRT]", "[TRT] [W]", "[11/22/2026-12:00:00] [V] [TRT]", "[I]"]
)
def test_what_is_no_error_is_no_diagnosis(mark):
    log = f"{mark} Skipping tactic 3 due to OutOfMemory\n[E] Error[4]: the real one"
    failure = diagnose(log, 1, LOG)
    assert (failure.kind, failure.transient) == ("refused", False)
    assert failure.diagnosis == "Error[4]: the real one"


@pytest.mark.parametrize("mark", ["[E] ", "[F] [TRT] ", "[TRT] [E] ", ""])
def test_an_error_and_an_unmarked_line_are_diagnoses(mark):
    assert diagnose(f"[I] x\n{mark}out of memory", 1, LOG).kind == "out-of-memory"


def test_a_path_in_the_command_line_is_no_diagnosis():
    log = "&&&& RUNNING TensorRT.trtexec [TensorRT v8502] # trtexec --onnx=/OutOfMemory/g.onnx"
    assert diagnose(log, 1, LOG).kind == "unclear"


PARSED = """\
[09/24/2025-09:19:49] [TRT] [E] ModelImporter.cpp:963: While parsing node number 4 [A -> "/a"]:
[09/24/2025-09:19:49] [TRT] [E] ModelImporter.cpp:968: ERROR: onnxOpCheckers.cpp:819 In function f:
[6] creator && "Plugin not found, are the plugin name, version, and namespace correct?"
[E] While parsing node number 9 [Range -> "onnx::Add_674"]:
[TRT] [E] ModelImporter.cpp:775: Assertion failed: inputs.at(0).isInt32() && "only INT32!"
[E] While parsing node number 1 [DequantizeLinear -> "bias"]:
Invalid Node - bias_DequantizeLinear
"""
"""As TensorRT 10, 8.2 and 11 print them."""


def test_every_dialect_of_the_parser_is_read():
    log = (
        PARSED
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
    assert failure.diagnosis.startswith("TensorRT cannot read 5 nodes of the graph: node 4 (A")
    assert failure.diagnosis.endswith("; and 2 more")
    assert "\n" not in str(failure)


def test_an_error_told_twice_counts_once():
    assert len(parser_errors(PARSED * 2)) == 3


def test_a_nodes_own_reason_says_what_helps():
    line = parser_error_line(
        3, "QuantizeLinear", "q", "Assertion failed: shiftIsAllZeros(zeroPoint)"
    )
    failure = diagnose(line, 1, LOG)
    assert failure.kind == "zero-point"
    assert "python -m targets lint" in failure.remedy


def test_only_what_may_pass_is_tried_again():
    again = {failure.kind for _, failure in KNOWN_FAILURES if failure.transient}
    assert again == {"disk-full", "out-of-memory"}


def test_no_diagnosis_is_read_out_of_a_help_page():
    """A refused flag is followed by the whole help, which speaks of memory, DLA and int8 too."""
    versions = json.loads((ROOT / "tests/support/trtexec/trtexec_flags.json").read_text())[
        "versions"
    ]
    for version in versions.values():
        text = "[E] Unknown option: --mystery\n" + "\n".join(version["flags"])
        assert diagnose(text, 1, LOG).kind == "unknown-flag"
