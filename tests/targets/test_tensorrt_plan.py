"""What is asked of trtexec, for every version and every row of the catalogue."""

import json
from pathlib import Path

import pytest

from targets.catalogue import jetsons
from targets.tensorrt.plan import (
    Options,
    Places,
    UnsupportedError,
    answer_arguments,
    build_arguments,
    check_graph,
    graph_role,
    time_arguments,
    typings,
)

FLAGS = json.loads(Path(__file__).with_name("trtexec_flags.json").read_text())["versions"]

PLACES = Places(*map(Path, ("g.onnx", "e.part", "t.cache", "l.json", "t.json")))

DYNAMIC = (None, 3, 32, 32)

NUMBERS = {"8.2": (8, 2, 1), "8.5": (8, 5, 1), "8.6": (8, 6, 1), "10.3": (10, 3, 0)}
NUMBERS |= {"10.16": (10, 16, 0), "11.1": (11, 1, 0)}

COMMON = "--onnx=g.onnx --saveEngine=e.part"
SHAPES = (
    "--minShapes=images:1x3x32x32 --optShapes=images:1x3x32x32 --maxShapes=images:8x3x32x32 "
    "--timingCacheFile=t.cache --profilingVerbosity=detailed --exportLayerInfo=l.json"
)
EXPECTED = {
    "8.2": {
        "int8": f"{COMMON} --int8 --fp16 --workspace=1024 {SHAPES} --buildOnly",
        "fp16": f"{COMMON} --fp16 --workspace=1024 {SHAPES} --buildOnly",
    },
    "8.5": {
        "int8": f"{COMMON} --int8 --fp16 --memPoolSize=workspace:1024 {SHAPES} --buildOnly",
        "fp16": f"{COMMON} --fp16 --memPoolSize=workspace:1024 {SHAPES} --buildOnly",
    },
    "8.6": {
        "int8": f"{COMMON} --int8 --fp16 --memPoolSize=workspace:1024 {SHAPES} --skipInference",
        "fp16": f"{COMMON} --fp16 --memPoolSize=workspace:1024 {SHAPES} --skipInference",
    },
    **{
        version: {
            precision: f"{COMMON} --stronglyTyped --memPoolSize=workspace:1024 {SHAPES} "
            "--skipInference"
            for precision in ("int8", "fp16")
        }
        for version in ("10.3", "10.16", "11.1")
    },
}
"""The commands that build, by version, in the first way of typing."""

GRAPHS = {
    "8.2": ("int8-float-weights", "fp32"),
    "8.5": ("int8-float-weights", "fp32"),
    "8.6": ("int8-float-weights", "fp32"),
    "10.3": ("int8-fp16", "fp16"),
    "10.16": ("int8-fp16", "fp16"),
    "11.1": ("int8-fp16", "fp16"),
}


@pytest.mark.parametrize("version", NUMBERS)
def test_each_generation_gets_its_own_command(version):
    flags = FLAGS[version]["flags"]
    for precision, role in zip(("int8", "fp16"), GRAPHS[version], strict=True):
        options = Options(precision, typings(NUMBERS[version])[0], largest=8)
        built = build_arguments(options, PLACES, DYNAMIC, flags)
        assert " ".join(built) == EXPECTED[version][precision]
        assert graph_role(options, NUMBERS[version]) == role


def every_command(options, shape, flags):
    yield from build_arguments(options, PLACES, shape, flags)
    yield from time_arguments(options, PLACES, shape)
    yield from answer_arguments(options, PLACES, shape, Path("i.raw"), Path("a.json"), 4)


def nearest(tensorrt):
    """The version of the flag table that a JetPack's TensorRT is closest to, never a newer one."""
    wanted = tuple(map(int, tensorrt.split(".")))[:2]
    older = [v for v in FLAGS if tuple(map(int, v.split("."))) <= max(wanted, (8, 2))]
    return max(older, key=lambda v: tuple(map(int, v.split("."))))


@pytest.mark.parametrize("target", jetsons(), ids=lambda target: target.name)
def test_every_row_gets_the_command_of_its_generation(target):
    """With each of its JetPacks; without int8, the float16 one alone."""
    for jetpack in target.jetpacks:
        version = nearest(jetpack.tensorrt)
        for precision in ("int8", "fp16") if target.has_int8 else ("fp16",):
            options = Options(precision, typings(NUMBERS[version])[0], largest=8)
            built = build_arguments(options, PLACES, DYNAMIC, FLAGS[version]["flags"])
            assert " ".join(built) == EXPECTED[version][precision], jetpack.name


@pytest.mark.parametrize("target", jetsons(), ids=lambda target: target.name)
@pytest.mark.parametrize("shape", [DYNAMIC, (1, 3, 32, 32)], ids=["any-batch", "fixed"])
def test_no_device_is_asked_for_a_flag_it_lacks(target, shape):
    for jetpack in target.jetpacks:
        version = nearest(jetpack.tensorrt)
        flags = FLAGS[version]["flags"]
        for typing in typings(NUMBERS[version]):
            for precision in ("int8", "fp16") if target.has_int8 else ("fp16",):
                for argument in every_command(Options(precision, typing), shape, flags):
                    flag, equals, _ = argument.partition("=")
                    assert flags[flag] == ("value" if equals else "switch"), (jetpack.name, flag)


def test_a_graph_of_a_fixed_batch_gets_no_shapes():
    flags = FLAGS["10.3"]["flags"]
    commands = list(every_command(Options("int8", "strong"), (1, 3, 32, 32), flags))
    assert not [argument for argument in commands if "hapes=" in argument]


def test_an_accelerator_is_named_when_it_is_built_for_and_when_it_runs():
    options = Options("fp16", "weak", dla_core=1)
    commands = list(every_command(options, (1, 3, 32, 32), FLAGS["8.5"]["flags"]))
    assert commands.count("--useDLACore=1") == 3
    assert commands.count("--allowGPUFallback") == 1


def test_weak_typing_is_refused_where_it_is_gone():
    with pytest.raises(UnsupportedError, match="no --int8; build strongly typed"):
        build_arguments(Options("int8", "weak"), PLACES, DYNAMIC, FLAGS["11.1"]["flags"])


def test_weak_typing_is_the_second_way_on_10_only():
    assert typings((8, 5, 1)) == ("weak",)
    assert typings((10, 3, 0)) == ("strong", "weak")
    assert typings((11, 1, 0)) == ("strong",)
    assert graph_role(Options("int8", "weak"), (10, 3, 0)) == "int8"


def test_an_opset_above_the_parsers_is_refused():
    check_graph(13, 13, "TensorRT 8.2")
    with pytest.raises(UnsupportedError, match=r"opset 17 is above 13.*set export.opset to 13"):
        check_graph(17, 13, "TensorRT 8.2")
