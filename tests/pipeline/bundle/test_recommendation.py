"""Which model of a target is recommended, and in what words."""

import pytest

from pipeline.bundle.recommendation import recommend, recommendation_sentence


@pytest.mark.parametrize(
    ("int8", "fp32", "times", "sentence"),
    [
        ("fail", "fail", (1.0, 2.0), "no model is recommended: neither model passed"),
        ("inconclusive", "pass", (1.0, 2.0), "fp32 is recommended: int8 did not pass"),
        ("pass", "fail", (2.0, 1.0), "int8 is recommended: fp32 did not pass"),
        ("pass", "pass", (1.0, 2.0), "int8 is recommended: it is faster and passed"),
        ("pass", "pass", (1.0, 1.05), "int8 is recommended: it is faster and passed"),
        ("pass", "pass", (1.0, 1.04), "fp32 is recommended: int8 is not faster on this target"),
        (
            *("pass", "pass", (None, None)),
            "int8 is recommended: it is smaller and passed; "
            "its latency was not measured on this machine",
        ),
    ],
)
def test_recommendation_reads_as_a_sentence(int8, fp32, times, sentence):
    verdicts = {"int8": {"outcome": int8}, "fp32": {"outcome": fp32}}
    entry = recommend(verdicts, dict(zip(("int8", "fp32"), times, strict=True)))
    assert recommendation_sentence(entry) == sentence
