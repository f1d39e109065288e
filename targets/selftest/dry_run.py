"""Show what a selftest would do: the graphs it would build from and the commands it would run."""

import tempfile
from pathlib import Path

from base.notify import Notify
from targets.catalogue.device_detection import NoDeviceError
from targets.selftest.sample_bundle import SELFTEST_OPSET, SHAPE, write_selftest_bundle
from targets.selftest.this_device import DLA_BATCH, has_usable_dla, this_target
from targets.tensorrt.builders.choose import choose_builder
from targets.tensorrt.builders.trtexec import Trtexec, find_trtexec
from targets.tensorrt.builders.trtexec_arguments import build_arguments, timing_arguments
from targets.tensorrt.diagnosis.failure import BuildError
from targets.tensorrt.options import (
    BuildFiles,
    Options,
    Precision,
    Shape,
    default_workspace_mib,
    graph_role,
    typing_modes,
)


def dry_run(notify: Notify) -> None:
    """Show the graphs and commands of a selftest on this device.

    Args:
        notify: Receives one line at a time.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_selftest_bundle(folder / "bundle", SELFTEST_OPSET)
        graphs = sorted(path.name for path in (folder / "bundle" / "graphs").iterdir())
    notify(f"graphs: {', '.join(graphs)}")
    try:
        target = this_target()
    except NoDeviceError as error:
        notify(f"{error}; the commands below assume a device with int8")
        target = None
    try:
        trtexec = find_trtexec()
    except BuildError as error:
        notify(f"trtexec: {error}")
        notify("nothing would be built here")
        return
    if choose_builder(trtexec) is not trtexec:
        notify("the Python bindings would build; the equivalent commands of trtexec are:")
    precisions: tuple[Precision, ...] = ("int8", "fp16")
    if target is not None and not target.has_int8:
        precisions = ("fp16",)
    typing = typing_modes(trtexec.version)[0]
    mib = default_workspace_mib(target.memory_gb if target else None)
    builds = [Options(precision, typing, workspace_mib=mib) for precision in precisions]
    if target is not None and has_usable_dla(target, trtexec.version, notify):
        batches = (DLA_BATCH, DLA_BATCH)
        builds += [Options(each, "weak", *batches, mib, dla_core=0) for each in precisions]
    for options in builds:
        _show_commands(trtexec, options, notify)


def _show_commands(trtexec: Trtexec, options: Options, notify: Notify) -> None:
    shape: Shape = (None if options.dla_core is None else options.batch, *SHAPE)
    files = BuildFiles(
        Path(f"student.{graph_role(options, trtexec.version)}.onnx"),
        Path(f"student.{options.precision}.engine"),
        *map(Path, ("timing.cache", "layers.json", "times.json")),
    )
    for arguments in (
        build_arguments(options, files, shape, trtexec.flags),
        timing_arguments(options, files, shape),
    ):
        notify(f"{options.precision}: {trtexec.path} {' '.join(arguments)}")
