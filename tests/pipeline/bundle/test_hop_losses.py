"""Where agreement was lost."""

import pytest

from pipeline.bundle.hop_losses import hop_losses, loss_sentence

SHARES = {"float": 0.987, "fake-quantized": 0.986, "exported": 0.986}


def manifest(compiled=0.99, **shares):
    hops = {
        name: {"agreement": share, "low": share - 0.01, "high": share + 0.01}
        for name, share in {**SHARES, **shares}.items()
    }
    return {"hops": hops, "verdict": {"agreement": compiled, "low": 0.9, "high": 1.0}}


def test_each_hop_is_compared_with_the_one_before_it():
    hops = hop_losses(manifest(compiled=0.976))
    assert [hop.form for hop in hops] == [
        *("float student", "fake-quantized student", "exported student", "compiled student")
    ]
    assert [hop.loss for hop in hops] == pytest.approx([1.3, 0.1, 0.0, 1.0])
    assert (hops[0].low, hops[0].high) == pytest.approx((0.977, 0.997))


def test_sentence_names_costs_and_gains():
    assert loss_sentence(hop_losses(manifest())) == (
        "Of 100 points of agreement, distillation cost 1.3, quantization cost 0.1, "
        "export cost 0.0, compilation gained 0.4."
    )


def test_gain_that_is_rounded_to_nothing_is_no_gain():
    assert "compilation cost 0.0" in loss_sentence(hop_losses(manifest(compiled=0.98604)))


def test_bundles_of_earlier_versions_and_below_8_bits_have_no_hops():
    assert hop_losses({"verdict": manifest()["verdict"]}) == []
    assert hop_losses({"hops": {}, "verdict": None}) == []
    assert loss_sentence([]) == ""
