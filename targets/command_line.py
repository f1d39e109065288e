"""Devices, graphs and engines on the command line, with nothing but numpy, onnx and onnxruntime.

Exit codes: 0 done, 1 something to mend, 64 a wrong command line, 130 interrupted.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from base.one_line import one_line
from targets.bundle.bundle_files import BundleError
from targets.catalogue.catalogue import UnknownTargetError, find_target
from targets.catalogue.device_detection import NoDeviceError
from targets.catalogue.tables import roofline_table, target_card, target_list
from targets.cpu.compile import ParityError
from targets.lint.linter import lint_report
from targets.on_device.compile_bundle import BuildRequest, NotReadyError, compile_bundle
from targets.selftest.selftest import dry_run, run_selftest
from targets.tensorrt.diagnosis.failures import BuildError
from targets.tensorrt.options import MAX_WORKSPACE_MIB, UnsupportedError

FAILED, USAGE, INTERRUPTED = 1, 64, 130

MENDED_BY_USER = (
    *(BundleError, BuildError, NoDeviceError, NotReadyError, ParityError),
    *(UnknownTargetError, UnsupportedError, ValueError, OSError),
)

EXAMPLES = {
    "list": "python -m targets list",
    "show": "python -m targets show orin-nano",
    "lint": "python -m targets lint graphs/student.int8.onnx",
    "roofline": "python -m targets roofline graphs/student.fp32.onnx --target orin-nano",
    "compile": "python -m targets compile bundles/mnist-lenet5 --target orin-nano",
    "selftest": "python -m targets selftest --report selftest.zip",
}


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> "None":  # type: ignore[override]
        self.exit(USAGE, f"targets: {one_line(message)}; see python -m targets --help\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; every error is one line."""
    asked = _parser().parse_args(arguments)
    try:
        code: int = asked.command(asked)
    except MENDED_BY_USER as error:
        print(f"targets: {one_line(str(error))}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("targets: interrupted; the same command starts again", file=sys.stderr)
        return INTERRUPTED
    return code


def _parser() -> argparse.ArgumentParser:
    form = argparse.RawDescriptionHelpFormatter
    parser = _Parser(
        prog="python -m targets",
        description="Devices, their graphs and their engines.",
        epilog="\n  ".join(("examples:", *EXAMPLES.values())),
        formatter_class=form,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=_Parser)

    def command(name: str, does: str) -> argparse.ArgumentParser:
        example = f"example:\n  {EXAMPLES[name]}"
        return commands.add_parser(
            name, help=does, description=does, epilog=example, formatter_class=form
        )

    listing = command("list", "every target on a line")
    listing.set_defaults(command=_list)
    show = command("show", "all that is known of a target")
    show.add_argument("name")
    show.set_defaults(command=_show)
    check = command("lint", "what TensorRT refuses in an int8 graph")
    check.add_argument("graph", type=Path)
    check.set_defaults(command=_lint)
    roof = command("roofline", "what a graph cannot be faster than, everywhere")
    roof.add_argument("graph", type=Path, help="a float32 graph")
    roof.add_argument("--batch", type=int, default=1)
    roof.add_argument("--target", help="one Jetson, in each of its power modes")
    roof.set_defaults(command=_roofline)
    build = command("compile", "make a bundle ready for a target, on it")
    build.add_argument("bundle", type=Path)
    build.add_argument("--target", required=True)
    build.add_argument("--batch", type=int, default=1, help="images at a time (default 1)")
    eighth = f"MiB (default an eighth of the target's memory, at most {MAX_WORKSPACE_MIB})"
    build.add_argument("--workspace", type=int, help=eighth)
    build.add_argument("--dla-core", type=int, help="an accelerator to build for, not the GPU")
    build.set_defaults(command=_compile)
    trial = command("selftest", "try all of it on this device, and report")
    trial.add_argument("--dry-run", action="store_true", help="say what would be done")
    trial.add_argument("--report", type=Path, default=Path("selftest.zip"))
    trial.set_defaults(command=_selftest)
    return parser


def _list(asked: argparse.Namespace) -> int:
    print(target_list())
    return 0


def _show(asked: argparse.Namespace) -> int:
    print(target_card(find_target(asked.name)))
    return 0


def _lint(asked: argparse.Namespace) -> int:
    lines, refused = lint_report(asked.graph)
    print("\n".join(map(one_line, lines)))
    return FAILED if refused else 0


def _roofline(asked: argparse.Namespace) -> int:
    only = None if asked.target is None else find_target(asked.target)
    print(roofline_table(asked.graph, asked.batch, only))
    return 0


def _compile(asked: argparse.Namespace) -> int:
    target = find_target(asked.target)
    wanted = BuildRequest(asked.batch, asked.workspace, asked.dla_core)
    place = compile_bundle(asked.bundle, target, wanted, print)
    print(f"{target.name}: in {place}")
    return 0


def _selftest(asked: argparse.Namespace) -> int:
    if asked.dry_run:
        dry_run(print)
        return 0
    return 0 if run_selftest(asked.report, print) else FAILED
