"""The commands of `python -m targets`; they need only numpy, onnx and onnxruntime.

Exit codes: 0 success, 1 an error, 64 a wrong command line, 130 interrupted by Ctrl-C.
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
from targets.cpu.parity import ParityError
from targets.lint.linter import lint_report
from targets.on_device.compile_bundle import BuildRequest, NotReadyError, compile_bundle
from targets.selftest.dry_run import dry_run
from targets.selftest.selftest import run_selftest
from targets.tensorrt.diagnosis.failure import BuildError
from targets.tensorrt.options import MAX_WORKSPACE_MIB, UnsupportedError

FAILED, USAGE, INTERRUPTED = 1, 64, 130

EXIT_CODES = "exit codes: 0 success; 1 {}; 64 a wrong command line; 130 interrupted by Ctrl-C"

FAILURES = {
    "lint": "an error, or TensorRT would reject the graph",
    "selftest": "an error, or a step failed",
}
"""What exit code 1 means, for commands where it is not only an error."""

USER_ERRORS = (
    *(BundleError, BuildError, NoDeviceError, NotReadyError, ParityError),
    *(UnknownTargetError, UnsupportedError, ValueError, OSError),
)
"""Errors that are shown as one line, without a traceback."""

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
    """Run a command and return its exit code; every error is one line on stderr."""
    parsed = _parser().parse_args(arguments)
    try:
        code: int = parsed.command(parsed)
    except USER_ERRORS as error:
        print(f"targets: {one_line(str(error))}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("targets: interrupted; run the same command to start again", file=sys.stderr)
        return INTERRUPTED
    return code


def _parser() -> argparse.ArgumentParser:
    formatter = argparse.RawDescriptionHelpFormatter
    parser = _Parser(
        prog="python -m targets",
        description="Target devices, ONNX graphs and engines.",
        epilog="\n  ".join(("examples:", *EXAMPLES.values())),
        formatter_class=formatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=_Parser)

    def command(name: str, description: str) -> argparse.ArgumentParser:
        codes = EXIT_CODES.format(FAILURES.get(name, "an error"))
        return commands.add_parser(
            name,
            help=description,
            description=description,
            epilog=f"{codes}\n\nexample:\n  {EXAMPLES[name]}",
            formatter_class=formatter,
        )

    listing = command("list", "list all targets")
    listing.set_defaults(command=_list)
    show = command("show", "show everything known about a target")
    show.add_argument("name")
    show.set_defaults(command=_show)
    check = command("lint", "check an int8 graph against TensorRT's rules")
    check.add_argument("graph", type=Path)
    check.set_defaults(command=_lint)
    roof = command("roofline", "show lower bounds on a graph's latency")
    roof.add_argument("graph", type=Path, help="a float32 graph")
    roof.add_argument("--batch", type=int, default=1, help="images per forward pass (default 1)")
    roof.add_argument("--target", help="one Jetson, in each of its power modes")
    roof.set_defaults(command=_roofline)
    build = command("compile", "compile a bundle for a target, on that target")
    build.add_argument("bundle", type=Path)
    build.add_argument("--target", required=True, help="see `python -m targets list`")
    build.add_argument("--batch", type=int, default=1, help="batch size to optimize for")
    default = f"default: an eighth of the target's memory, at most {MAX_WORKSPACE_MIB}"
    build.add_argument("--workspace", type=int, help=f"scratch memory in MiB ({default})")
    build.add_argument("--dla-core", type=int, help="accelerator to build for instead of the GPU")
    build.set_defaults(command=_compile)
    trial = command("selftest", "try every build step on this device and write a report")
    trial.add_argument("--dry-run", action="store_true", help="only show what would be done")
    trial.add_argument("--report", type=Path, default=Path("selftest.zip"), help="zip file")
    trial.set_defaults(command=_selftest)
    return parser


def _list(parsed: argparse.Namespace) -> int:
    print(target_list())
    return 0


def _show(parsed: argparse.Namespace) -> int:
    print(target_card(find_target(parsed.name)))
    return 0


def _lint(parsed: argparse.Namespace) -> int:
    lines, refused = lint_report(parsed.graph)
    print("\n".join(map(one_line, lines)))
    return FAILED if refused else 0


def _roofline(parsed: argparse.Namespace) -> int:
    only = None if parsed.target is None else find_target(parsed.target)
    print(roofline_table(parsed.graph, parsed.batch, only))
    return 0


def _compile(parsed: argparse.Namespace) -> int:
    target = find_target(parsed.target)
    request = BuildRequest(parsed.batch, parsed.workspace, parsed.dla_core)
    output = compile_bundle(parsed.bundle, target, request, print)
    print(f"{target.name}: written to {output}")
    return 0


def _selftest(parsed: argparse.Namespace) -> int:
    if parsed.dry_run:
        dry_run(print)
        return 0
    return 0 if run_selftest(parsed.report, print) else FAILED
