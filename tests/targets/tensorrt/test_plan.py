"""What is asked of trtexec, for every version and every row of the catalogue."""

import json
from pathlib import Path

import pytest

from targets.catalogue.catalogue import jetsons
from targets.tensorrt.dla.lowering import check_dla
from targets.tensorrt.options import (
    BuildFiles,
    Options,
    UnsupportedError,
    build_arguments,
    check_opset,
    graph_role,
    inference_arguments,
    timing_arguments,
    typing_modes,
)
from tests.support.quick_run import ROOT
from tests.targets.tensorrt.expected_plans import (
    ANSWERED,
    ANSWERED_ON_DLA,
    COMMANDS,
    ENGINES,
    TENSORRT,
    TIMED,
    TIMED_ON_DLA,
)

DOCUMENT = json.loads((ROOT / "tests/support/trtexec/trtexec_flags.json").read_text())
FLAGS = DOCUMENT["versions"]

DYNAMIC, FIXED = (None, 3, 32, 32), (8, 3, 32, 32)

ROWS = [
    pytest.param(target, jetpack, id=f"{target.name}-{jetpack.name}")
    for target in jetsons()
    for jetpack in target.jetpacks
]


def generation(tensorrt):
    """Its major and minor number."""
    return ".".join(tensorrt.split(".")[:2])


def flags_of(tensorrt):
    """What its trtexec takes; where its own help was not found, what the table has instead."""
    version = generation(tensorrt)
    unread = DOCUMENT["unread"].get(version)
    return FLAGS[unread["instead"] if unread else version]["flags"]


def places(graph="student.onnx"):
    return BuildFiles(
        *map(Path, (graph, "engine.part", "timing.cache", "layers.json", "times.json"))
    )


PLACES = places()


def engines(target, jetpack):
    """What is built on a module, as name, precision and accelerator."""
    version = numbers(jetpack.tensorrt)
    precisions = ("int8", "fp16") if target.has_int8 else ("fp16",)
    made = [(precision, precision, None) for precision in precisions]
    try:
        check_dla(target, jetpack.name, 0, version)
    except UnsupportedError:
        return made
    return made + [(f"dla-{precision}", precision, 0) for precision in precisions]


def numbers(tensorrt):
    return tuple(map(int, tensorrt.split(".")))


def builds(precision, core, tensorrt):
    """The commands that build an engine, in the order in which they are tried."""
    version = numbers(tensorrt)
    for typing in typing_modes(version, core):
        options = Options(precision, typing, largest=8, workspace_mib=1024, dla_core=core)
        graph = f"student.{graph_role(options, version)}.onnx"
        shape = DYNAMIC if core is None else FIXED
        yield build_arguments(options, places(graph), shape, flags_of(tensorrt))


def test_the_plans_are_of_the_catalogues_rows():
    assert {t.name: [j.name for j in t.jetpacks] for t in jetsons()} == {
        name: list(by_jetpack) for name, by_jetpack in ENGINES.items()
    }


@pytest.mark.parametrize(("target", "jetpack"), ROWS)
def test_every_row_has_the_tensorrt_and_the_engines_that_it_should(target, jetpack):
    assert jetpack.tensorrt == TENSORRT[jetpack.name]
    built = [name for name, _, _ in engines(target, jetpack)]
    assert built == ENGINES[target.name][jetpack.name].split()


@pytest.mark.parametrize(("target", "jetpack"), ROWS)
def test_every_row_gets_the_commands_of_its_generation(target, jetpack):
    expected = COMMANDS[generation(TENSORRT[jetpack.name])]
    for name, precision, core in engines(target, jetpack):
        asked = [list(build) for build in builds(precision, core, jetpack.tensorrt)]
        assert asked == [command.split() for command in expected[name]], name


def test_every_generation_that_a_jetpack_has_has_its_commands():
    assert {generation(tensorrt) for tensorrt in TENSORRT.values()} == COMMANDS.keys()


@pytest.mark.parametrize("core", [None, 0], ids=["gpu", "dla"])
def test_what_follows_a_build_is_the_same_everywhere(core):
    options, shape = Options("int8", "weak", dla_core=core), DYNAMIC if core is None else FIXED
    timed = timing_arguments(options, PLACES, shape)
    assert timed == (TIMED if core is None else TIMED_ON_DLA).split()
    answered = inference_arguments(options, PLACES, shape, Path("in.raw"), Path("out.json"), 4)
    assert answered == (ANSWERED if core is None else ANSWERED_ON_DLA).split()


def every_command(options, shape, flags):
    yield from build_arguments(options, PLACES, shape, flags)
    yield from timing_arguments(options, PLACES, shape)
    yield from inference_arguments(options, PLACES, shape, Path("i.raw"), Path("a.json"), 4)


@pytest.mark.parametrize(("target", "jetpack"), ROWS)
@pytest.mark.parametrize("shape", [DYNAMIC, FIXED], ids=["any-batch", "fixed"])
def test_no_device_is_asked_for_a_flag_it_lacks(target, jetpack, shape):
    flags = flags_of(jetpack.tensorrt)
    for _, precision, core in engines(target, jetpack):
        for typing in typing_modes(numbers(jetpack.tensorrt), core):
            for argument in every_command(Options(precision, typing, dla_core=core), shape, flags):
                flag, equals, _ = argument.partition("=")
                assert flags[flag] == ("value" if equals else "switch"), flag


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
    assert typing_modes((8, 5, 1)) == ("weak",)
    assert typing_modes((10, 3, 0)) == ("strong", "weak")
    assert typing_modes((11, 1, 0)) == ("strong",)
    assert graph_role(Options("int8", "weak"), (10, 3, 0)) == "int8"


def test_an_opset_above_the_parsers_is_refused():
    check_opset(13, 13, "TensorRT 8.2")
    with pytest.raises(UnsupportedError, match=r"opset 17 is above 13.*set export.opset to 13"):
        check_opset(17, 13, "TensorRT 8.2")
