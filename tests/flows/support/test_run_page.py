"""The tables of a run's page."""

from flows.support.run_page import layer_tables
from pipeline.bundle.opening import open_bundle

TENSORRT = {"name": "conv1", "kind": "Convolution", "tactic": "t", "takes": "int8", "gives": "fp16"}


def test_each_int8_target_has_a_table_of_its_layers(same_bundle):
    manifest = open_bundle(same_bundle)
    manifest["engines"] = {
        "orin-nano": {"engine": "built", "engines": {"int8": {"layers": [TENSORRT]}, "fp16": {}}},
        "nano": {"engine": "built", "engines": {"fp16": {"layers": [TENSORRT]}}},
        "thor": {"engine": "pending", "because": "no worker", "build": "a command"},
        "local-cpu@shelf": manifest["targets"]["local-cpu"],
    }
    tables = layer_tables(manifest)
    assert list(tables) == ["local-cpu", "orin-nano", "local-cpu@shelf"]
    assert tables["orin-nano"] == [TENSORRT]
    kernels = [row["kernel"] for row in tables["local-cpu"]]
    assert len(kernels) == 5
    assert kernels[0] == "QLinearConv"
