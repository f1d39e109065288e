"""The commands of trtexec for every TensorRT version and every Jetson of the catalogue."""

from pathlib import Path

import pytest

from targets.catalogue.catalogue import jetsons
from targets.tensorrt.builders.trtexec_arguments import (
    build_arguments,
    inference_arguments,
    timing_arguments,
)
from targets.tensorrt.dla.availability import check_dla
from targets.tensorrt.options import (
    BuildFiles,
    Options,
    UnsupportedError,
    graph_role,
    typing_modes,
)
from tests.support.trtexec.flags import FLAGS, FLAGS_DOCUMENT
from tests.targets.tensorrt.builders.expected_commands import (
    COMMANDS,
    ENGINES,
    INFERENCE,
    INFERENCE_ON_DLA,
    TENSORRT,
    TIMING,
    TIMING_ON_DLA,
)

DYNAMIC, FIXED = (None, 3, 32, 32), (8, 3, 32, 32)

ROWS = [
    pytest.param(target, jetpack, id=f"{target.name}-{jetpack.name}")
    for target in jetsons()
    for jetpack in target.jetpacks
]


def minor_version(tensorrt):
    """Return the major and minor number of a version."""
    return ".".join(tensorrt.split(".")[:2])


def flags_of(tensorrt):
    """Return the flags of a version's trtexec, or those of a similar one if its help is unknown."""
    version = minor_version(tensorrt)
    unread = FLAGS_DOCUMENT["unread"].get(version)
    return FLAGS[unread["instead"] if unread else version]["flags"]


def build_files(graph="student.onnx"):
    return BuildFiles(
        *map(Path, (graph, "engine.part", "timing.cache", "layers.json", "times.json"))
    )


FILES = build_files()


def engines(target, jetpack):
    """Return name, precision and accelerator of every engine for a module."""
    version = numbers(jetpack.tensorrt)
    precisions = ("int8", "fp16") if target.has_int8 else ("fp16",)
    built = [(precision, precision, None) for precision in precisions]
    try:
        check_dla(target, jetpack.name, 0, version)
    except UnsupportedError:
        return built
    return built + [(f"dla-{precision}", precision, 0) for precision in precisions]


def numbers(tensorrt):
    return tuple(map(int, tensorrt.split(".")))


def builds(precision, core, tensorrt):
    """Yield the build commands of an engine in the order of attempts."""
    version = numbers(tensorrt)
    for typing in typing_modes(version, core):
        options = Options(precision, typing, largest=8, workspace_mib=1024, dla_core=core)
        graph = f"student.{graph_role(options, version)}.onnx"
        shape = DYNAMIC if core is None else FIXED
        yield build_arguments(options, build_files(graph), shape, flags_of(tensorrt))


def test_expected_engines_cover_the_catalogue():
    assert {t.name: [j.name for j in t.jetpacks] for t in jetsons()} == {
        name: list(by_jetpack) for name, by_jetpack in ENGINES.items()
    }


@pytest.mark.parametrize(("target", "jetpack"), ROWS)
def test_every_jetpack_has_the_expected_tensorrt_and_engines(target, jetpack):
    assert jetpack.tensorrt == TENSORRT[jetpack.name]
    built = [name for name, _, _ in engines(target, jetpack)]
    assert built == ENGINES[target.name][jetpack.name].split()


@pytest.mark.parametrize(("target", "jetpack"), ROWS)
def test_build_commands_match_the_expected_ones(target, jetpack):
    expected = COMMANDS[minor_version(TENSORRT[jetpack.name])]
    for name, precision, core in engines(target, jetpack):
        commands = [list(build) for build in builds(precision, core, jetpack.tensorrt)]
        assert commands == [command.split() for command in expected[name]], name


def test_expected_commands_cover_every_tensorrt():
    assert {minor_version(tensorrt) for tensorrt in TENSORRT.values()} == COMMANDS.keys()


@pytest.mark.parametrize("core", [None, 0], ids=["gpu", "dla"])
def test_timing_and_inference_commands_match_the_expected_ones(core):
    options, shape = Options("int8", "weak", dla_core=core), DYNAMIC if core is None else FIXED
    timing = timing_arguments(options, FILES, shape)
    assert timing == (TIMING if core is None else TIMING_ON_DLA).split()
    inference = inference_arguments(options, FILES, shape, Path("in.raw"), Path("out.json"), 4)
    assert inference == (INFERENCE if core is None else INFERENCE_ON_DLA).split()


def every_command(options, shape, flags):
    yield from build_arguments(options, FILES, shape, flags)
    yield from timing_arguments(options, FILES, shape)
    yield from inference_arguments(options, FILES, shape, Path("i.raw"), Path("a.json"), 4)


@pytest.mark.parametrize(("target", "jetpack"), ROWS)
@pytest.mark.parametrize("shape", [DYNAMIC, FIXED], ids=["any-batch", "fixed"])
def test_commands_use_only_flags_that_the_version_has(target, jetpack, shape):
    flags = flags_of(jetpack.tensorrt)
    for _, precision, core in engines(target, jetpack):
        for typing in typing_modes(numbers(jetpack.tensorrt), core):
            for argument in every_command(Options(precision, typing, dla_core=core), shape, flags):
                flag, equals, _ = argument.partition("=")
                assert flags[flag] == ("value" if equals else "switch"), flag


def test_fixed_batch_gets_no_shapes():
    flags = FLAGS["10.3"]["flags"]
    commands = list(every_command(Options("int8", "strong"), (1, 3, 32, 32), flags))
    assert not [argument for argument in commands if "hapes=" in argument]


def test_dla_core_is_part_of_every_command():
    options = Options("fp16", "weak", dla_core=1)
    commands = list(every_command(options, (1, 3, 32, 32), FLAGS["8.5"]["flags"]))
    assert commands.count("--useDLACore=1") == 3
    assert commands.count("--allowGPUFallback") == 1


def test_build_arguments_refuse_weak_typing_on_version_11():
    with pytest.raises(UnsupportedError, match="no --int8; build strongly typed"):
        build_arguments(Options("int8", "weak"), FILES, DYNAMIC, FLAGS["11.1"]["flags"])
