"""The step `hops`: agreement before compiling, and errors of layers."""

import json

import pytest

from targets.bundle.verdict import wilson


@pytest.fixture
def manifest(same_bundle):
    return json.loads((same_bundle / "manifest.json").read_text())


def test_float_student_that_is_the_teacher_always_agrees(manifest):
    images = manifest["verdict"]["images"]
    hop = manifest["hops"]["float"]
    assert (hop["agreed"], hop["images"], hop["agreement"]) == (images, images, 1.0)


def test_every_hop_is_judged_on_all_probes_with_an_interval(manifest):
    verdict = manifest["verdict"]
    assert list(manifest["hops"]) == ["float", "fake-quantized", "exported"]
    for hop in manifest["hops"].values():
        assert hop["images"] == verdict["images"]
        assert hop["agreement"] == hop["agreed"] / hop["images"]
        assert (hop["low"], hop["high"]) == wilson(
            hop["agreed"], hop["images"], verdict["confidence"]
        )


def test_exported_student_answers_as_the_fake_quantized_one(manifest):
    fake, exported = (manifest["hops"][name]["agreed"] for name in ("fake-quantized", "exported"))
    assert abs(fake - exported) <= 5
    assert fake < manifest["hops"]["float"]["agreed"]


def test_every_compiled_layer_has_an_error_and_a_share_of_the_time(manifest):
    layers = manifest["targets"]["local-cpu"]["int8"]["layers"]
    assert [layer["layer"] for layer in layers] == list(manifest["layer_errors"])
    assert all(0 < error < 0.2 for error in manifest["layer_errors"].values())
    shares = [layer["time_share"] for layer in layers]
    assert all(0 < share < 1 for share in shares)
    assert sum(shares) < 1


def test_confusions_are_the_probes_without_agreement(manifest):
    verdict = manifest["verdict"]
    confusions = manifest["targets"]["local-cpu"]["confusions"]
    assert sum(count for *_, count in confusions) == verdict["images"] - verdict["agreed"]
    assert all(teacher != student for teacher, student, _ in confusions)
