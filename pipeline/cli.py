"""The command line, `datafree-edge`.

Exit codes: 0 the verdict is pass, or the command succeeded; 2 fail; 3 inconclusive; 1 an error; 64
a wrong command line; 130 interrupted by Ctrl-C; 143 ended by SIGTERM.
"""

import sys
from collections.abc import Callable, Sequence
from inspect import cleandoc
from typing import Annotated, Any, NoReturn

import typer

from base.bug_report import bug_line
from base.errors import InputError
from base.one_line import one_line
from base.termination import Terminated, raised_on_sigterm
from pipeline.commands import (
    bundle_commands,
    image_commands,
    release_commands,
    run_commands,
    teacher_commands,
)

USAGE, INTERRUPTED, TERMINATED = 64, 130, 143

TRAINING_MODULES = ("torch", "torchvision", "nncf", "onnxscript", "tensorboardX")
"""Modules that only the extra `train` installs."""

OUT_OF_MEMORY = ("out of memory", "can't allocate memory")
"""Parts of the messages of torch's RuntimeError on any device."""

UsageError: type[Exception] = typer.BadParameter.__bases__[0]
"""Click's class. Some versions of typer contain a copy of click, others import it."""

SUCCESS = "0 success; 1 an error"

VERDICT = "0 pass; 2 fail; 3 inconclusive; 1 an error"

PICTURES = "0 success; 1 an error, or no picture could be read"

OTHER_CODES = "64 a wrong command line; 130 interrupted by Ctrl-C; 143 ended by SIGTERM"

app = typer.Typer(
    help="Quantize a trained network for an edge device without training data.",
    epilog="Exit codes: 0 pass or success; 2 fail; 3 inconclusive; 1 an error; "
    f"{OTHER_CODES}.\n\n"
    "Example: datafree-edge run examples/mnist_lenet5/run.yaml",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _show_version(requested: bool) -> None:
    if requested:
        from importlib.metadata import version

        typer.echo(f"datafree-edge {version('datafree-edge')}")
        raise typer.Exit


@app.callback()
def _options_of_the_program(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    pass


def _add(command: Callable[..., None], *examples: str, codes: str = SUCCESS) -> None:
    name = command.__name__.replace("_", "-")
    title = "Example" if len(examples) == 1 else "Examples"
    lines = "\n\n".join(f"datafree-edge {name} {example}".rstrip() for example in examples)
    # typer keeps the line breaks of a docstring after its first paragraph.
    paragraphs = [" ".join(text.split()) for text in cleandoc(command.__doc__ or "").split("\n\n")]
    epilog = f"Exit codes: {codes}; {OTHER_CODES}.\n\n{title}:\n\n{lines}"
    app.command(name, help="\n\n".join(paragraphs), epilog=epilog)(command)


_add(
    run_commands.run,
    "examples/mnist_lenet5/run.yaml",
    "RUN.yaml --recipe dfq-akd --seed 1 --output bundles/dfq-akd-1",
    codes=VERDICT.replace("pass", "pass (or below 8 bits, without a verdict)"),
)
_add(run_commands.check, "examples/mnist_lenet5/run.yaml")
_add(teacher_commands.inspect, "teacher.pt", "checkpoint.ckpt --write run.yaml")
_add(run_commands.recipes, "", "pre-dfkd")
_add(run_commands.runs, "", "--json")
_add(
    bundle_commands.compare,
    "bundles/mnist-lenet5 bundles/mnist-lenet5.lenet5-half",
    "bundles/a bundles/b bundles/c --html comparison.html",
)
_add(bundle_commands.validate, "bundles/mnist-lenet5", codes=VERDICT)
_add(bundle_commands.sign, "bundles/mnist-lenet5 --key signing.pem")
_add(bundle_commands.verify, "bundles/mnist-lenet5 --key public.pem")
_add(
    bundle_commands.lint,
    "student.int8.onnx",
    codes=f"{SUCCESS}, or TensorRT would reject the graph",
)
_add(
    image_commands.score,
    "bundles/mnist-lenet5 --images pictures --labels by-folder",
    "BUNDLE --images FOLDER --labels labels.csv --teacher RUN.yaml --html differences.html",
    codes=PICTURES,
)
_add(image_commands.predict, "bundles/mnist-lenet5 seven.png --top 3", codes=PICTURES)
_add(image_commands.benchmark, "bundles/mnist-lenet5")
_add(release_commands.releases, "", "mnist-lenet5")
_add(release_commands.fetch, "mnist-lenet5 --output mnist-lenet5")
_add(release_commands.roll_back, "mnist-lenet5")
_add(release_commands.collect, "--days 30 --dry-run")
app.command(
    hidden=True, context_settings={"allow_extra_args": True, "ignore_unknown_options": True}
)(release_commands.service)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit; print every error as one line.

    Args:
        arguments: The command's arguments; those of the process if None.
    """
    try:
        with raised_on_sigterm():
            code: Any = app(args=arguments, standalone_mode=False)
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except Terminated:
        code = TERMINATED
    except Exception as error:
        if isinstance(error, UsageError) and not str(error):
            sys.exit(USAGE)  # No command was given: the help has been printed.
        _fail(_described(error), USAGE if isinstance(error, UsageError) else 1)
    if code in (INTERRUPTED, TERMINATED):
        _fail("interrupted; run the same command again to continue", code)
    sys.exit(code if isinstance(code, int) else 0)


def _described(error: Exception) -> str:
    """Return the line about an error."""
    if isinstance(error, InputError):
        return str(error)
    if isinstance(error, UsageError):
        return f"{error}; see datafree-edge --help"
    if isinstance(error, ModuleNotFoundError) and error.name in TRAINING_MODULES:
        return f"{error.name} is not installed; run: pip install 'datafree-edge[train]'"
    if _is_out_of_memory(error):
        return "out of memory; set a smaller overrides: {batch: ...} in distill and quantize"
    if isinstance(error, OSError):
        # An error of a copy has the file that was read first.
        place = error.filename2 or error.filename or "a file"
        return f"{place}: {error.strerror or error}"
    return bug_line(error)


def _is_out_of_memory(error: Exception) -> bool:
    if isinstance(error, MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in OUT_OF_MEMORY)


def _fail(line: str, code: int) -> NoReturn:
    print(f"datafree-edge: {one_line(line)}", file=sys.stderr)
    sys.exit(code)


if __name__ == "__main__":
    main()
