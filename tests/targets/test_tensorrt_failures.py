"""Every way of failing has one line: what happened, and what to do about it."""

import json
from pathlib import Path

import pytest

from targets.tensorrt.failures import KNOWN, diagnose

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
    failure = diagnose(f"{noise}{LINES[kind]}\n&&&& FAILED TensorRT.trtexec [TensorRT v8502]", 1)
    assert failure.kind == kind
    assert "\n" not in str(failure) and "{" not in str(failure)
    assert failure.remedy


def test_every_diagnosis_has_a_line_here():
    assert {failure.kind for _, failure in KNOWN} == LINES.keys()


@pytest.mark.parametrize(
    ("kind", "named"),
    [
        ("unknown-flag", "--workspace"),
        ("unsupported-node", "Mish"),
        ("no-implementation", "conv1 + relu1"),
    ],
)
def test_the_thing_is_named(kind, named):
    assert named in diagnose(LINES[kind], 1).diagnosis


@pytest.mark.parametrize(
    ("code", "kind", "again"),
    [(None, "hung", True), (-9, "killed", True), (-11, "crashed", False), (1, "unclear", False)],
)
def test_without_a_word_the_exit_code_speaks(code, kind, again):
    failure = diagnose("[I] Building", code)
    assert (failure.kind, failure.again) == (kind, again)


def test_an_unknown_error_is_told_as_it_stands():
    failure = diagnose("[W] no\n[E] Something new\n[E] and more", 1)
    assert (failure.kind, failure.diagnosis) == ("refused", "Something new")


def test_only_what_may_pass_is_tried_again():
    again = {failure.kind for _, failure in KNOWN if failure.again}
    assert again == {"disk-full", "out-of-memory"}


def test_no_diagnosis_is_read_out_of_a_help_page():
    """A refused flag is followed by the whole help, which speaks of memory, DLA and int8 too."""
    versions = json.loads(Path(__file__).with_name("trtexec_flags.json").read_text())["versions"]
    for version in versions.values():
        text = "[E] Unknown option: --mystery\n" + "\n".join(version["flags"])
        assert diagnose(text, 1).kind == "unknown-flag"
