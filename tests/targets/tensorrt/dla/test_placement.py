"""Which layers run on the accelerator, read from a build log."""

from targets.tensorrt.dla.placement import parse_placement


def test_parse_placement_lists_layers_on_the_gpu():
    log = """[I] [TRT] ---------- Layers Running on DLA ----------
[I] [TRT] [DlaLayer] {ForeignNode[conv1...fc1]}
[I] [TRT] ---------- Layers Running on GPU ----------
[I] [TRT] [GpuLayer] SHUFFLE: flatten
"""
    found = parse_placement(log)
    assert str(found) == "1 subgraphs on the DLA, 1 layers on the GPU (SHUFFLE: flatten)"
    assert parse_placement("[I] nothing of the sort") is None
