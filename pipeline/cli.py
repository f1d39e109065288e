"""The command line, `datafree-edge`.

Exit codes: 0 the verdict is pass (or the command did its work), 2 fail, 3 inconclusive, 1 something
the user must mend, 64 a wrong command line, 130 interrupted.
"""

import sys
from importlib import metadata
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from base.errors import InputError
from base.one_line import one_line
from pipeline.bundle.bundle import open_bundle
from pipeline.config.chosen_recipes import chosen_recipe
from pipeline.config.run_file import Changes, read_run_file
from pipeline.run import check_run, default_output, default_store, execute
from pipeline.store.store import Store
from pipeline.training.progress import reporter

USAGE, INTERRUPTED = 64, 130

TRAINING = ("torch", "torchvision", "nncf", "torchao", "onnxscript", "tensorboardX")
"""Modules that only the extra `train` installs."""

OUT_OF_MEMORY = ("out of memory", "can't allocate memory")

UsageError: type[Exception] = typer.BadParameter.__bases__[0]
"""Click's; typer brings a click of its own in some versions and imports it in others."""

app = typer.Typer(
    help="From a trained network to a quantized engine on an edge device, without data.",
    epilog="Exit codes: 0 pass or done, 2 fail, 3 inconclusive, 1 something to mend, 64 a wrong "
    "command line, 130 interrupted. DATAFREE_EDGE_STORE names the store.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

RunFile = Annotated[Path, typer.Argument(help="A run file, see examples/.", metavar="RUN.yaml")]
StoreUrl = Annotated[str, typer.Option("--store", help="Folder or URL of the store.")]
STORE = default_store()
BundleFolder = Annotated[Path, typer.Argument(help="A bundle's folder.")]
Output = Annotated[Path | None, typer.Option(help="The bundle's folder, else bundles/NAME.")]
Name = Annotated[str, typer.Argument(help="Of the bundle, as in its run file.")]


def _say_version(asked: bool) -> None:
    if asked:
        typer.echo(f"datafree-edge {metadata.version('datafree-edge')}")
        raise typer.Exit


@app.callback()
def _every_command(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_say_version, is_eager=True, help="Say it and end."),
    ] = False,
) -> None:
    """Only so that the program itself has options."""


@app.command(
    epilog="Examples: datafree-edge run examples/mnist_lenet5/run.yaml; "
    "datafree-edge run RUN.yaml --recipe dfq-akd --seed 1 --output bundles/dfq-akd-1"
)
def run(
    run_file: RunFile,
    student: Annotated[
        str | None, typer.Option(help='Another student: an architecture, or "same".')
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(help="Another recipe to distil by, at its own numbers; the budget stays."),
    ] = None,
    target: Annotated[
        list[str] | None, typer.Option(help="Other targets; give it once for each.")
    ] = None,
    budget: Annotated[int | None, typer.Option(help="Other student steps.")] = None,
    seed: Annotated[int | None, typer.Option(help="Another seed.")] = None,
    output: Output = None,
    store: StoreUrl = STORE,
    metrics: Annotated[
        Path | None, typer.Option(help="Folder for losses: JSON lines, TensorBoard.")
    ] = None,
) -> None:
    """Distil, quantize, export, compile and judge; write a bundle.

    Steps already done with the same teacher, settings and code are found in the store. An
    interrupted run goes on where it stood.
    """
    from pipeline.bundle.report import summary_table

    targets = tuple(target) if target else None
    config = read_run_file(run_file, Changes(None, student, recipe, targets, budget, seed))
    folder = (output or default_output(config)).absolute()
    with reporter() as progress:
        manifest = execute(config, Store(store), folder, progress, metrics)
    Console().print(summary_table(manifest, folder))
    verdict = manifest["verdict"]
    raise typer.Exit(_exit_code(verdict["outcome"]) if verdict else 0)


@app.command(epilog="Example: datafree-edge check examples/mnist_lenet5/run.yaml")
def check(run_file: RunFile, output: Output = None) -> None:
    """Read a run file and say what is wrong with it, without running it."""
    from pipeline.teachers.network_checks import check_networks
    from pipeline.training.resumable_training import chosen_device

    config = read_run_file(run_file)
    check_run(config, output or default_output(config))
    check_networks(config, chosen_device(config))
    typer.echo(f"{run_file}: fine")


@app.command(epilog="Examples: datafree-edge recipes; datafree-edge recipes pre-dfkd")
def recipes(
    name: Annotated[str | None, typer.Argument(help="Show all of this recipe.")] = None,
) -> None:
    """List the recipes, or show one: composition, citation, reported figures, what is ours."""
    from pipeline.config.recipe_card import recipe_card, recipe_list

    Console().print(recipe_card(chosen_recipe(name, {})) if name else recipe_list())


@app.command(epilog="Example: datafree-edge validate bundles/mnist-lenet5")
def validate(
    bundle: BundleFolder,
    model: Annotated[
        Path | None, typer.Option(help="Judge this ONNX file instead of the bundle's int8 one.")
    ] = None,
) -> None:
    """Judge a bundle again, on this machine, by its own probes and threshold."""
    from pipeline.bundle.revalidation import rejudge

    verdict = rejudge(bundle, open_bundle(bundle), model)
    typer.echo(
        f"{verdict.outcome}: agreement with the teacher {100 * verdict.agreement:.2f} % "
        f"[{100 * verdict.low:.2f}, {100 * verdict.high:.2f}] on {verdict.images} "
        f"synthetic probes, asked for {100 * verdict.threshold:g} %"
    )
    raise typer.Exit(verdict.outcome.exit_code)


@app.command(epilog="Example: datafree-edge sign bundles/mnist-lenet5 --key signing.pem")
def sign(
    bundle: BundleFolder,
    key: Annotated[Path, typer.Option(help="Private Ed25519 key, PEM without a password.")],
) -> None:
    """Sign a bundle, so that others can tell that it is as you left it."""
    from pipeline.bundle.signature import sign

    open_bundle(bundle)
    sign(bundle, key)
    typer.echo(f"{bundle}: signed")


@app.command(epilog="Example: datafree-edge verify bundles/mnist-lenet5 --key public.pem")
def verify(
    bundle: BundleFolder,
    key: Annotated[Path, typer.Option(help="The signer's public key, PEM.")],
) -> None:
    """Check every file of a bundle against its manifest, and the manifest's signature."""
    from pipeline.bundle.signature import verify

    verify(bundle, key)
    open_bundle(bundle)
    typer.echo(f"{bundle}: whole, and signed by {key}")


@app.command(epilog="Example: datafree-edge lint student.int8.onnx")
def lint(
    graph: Annotated[Path, typer.Argument(help="An ONNX file.", metavar="GRAPH.onnx")],
) -> None:
    """Check an int8 graph against TensorRT's rules: what it refuses, and what makes it slower.

    Exits with 1 when TensorRT would refuse the graph.
    """
    from targets.lint.linter import lint_report

    try:
        lines, refused = lint_report(graph)
    except ValueError as error:
        raise InputError(str(error)) from None
    typer.echo("\n".join(lines))
    raise typer.Exit(1 if refused else 0)


@app.command(epilog="Examples: datafree-edge service; datafree-edge service mnist-lenet5")
def service(
    name: Annotated[str | None, typer.Argument(help="Show this one's history.")] = None,
    store: StoreUrl = STORE,
) -> None:
    """List the bundles in service: of every name the last that passed in a deployment's run."""
    from pipeline.releases.release_tables import history_table, service_table

    opened = Store(store)
    Console().print(history_table(opened, name) if name else service_table(opened))


@app.command(epilog="Example: datafree-edge fetch mnist-lenet5 --output mnist-lenet5")
def fetch(name: Name, output: Output = None, store: StoreUrl = STORE) -> None:
    """Lay out the bundle in service in a folder."""
    from pipeline.releases.releases import fetch

    place = output or Path("bundles") / name
    release = fetch(Store(store), name, place)
    typer.echo(f"{name}: bundle {release.bundle[:12]} in {place}")


@app.command("roll-back", epilog="Example: datafree-edge roll-back mnist-lenet5")
def roll_back(
    name: Name,
    to: Annotated[str, typer.Option(help="First digits of the bundle, else the last.")] = "",
    store: StoreUrl = STORE,
) -> None:
    """Put an earlier bundle back into service; `service NAME` lists them."""
    from pipeline.releases.releases import roll_back

    release = roll_back(Store(store), name, to)
    typer.echo(f"{name}: bundle {release.bundle[:12]} is in service again")


@app.command(epilog="Example: datafree-edge collect --days 30 --dry-run")
def collect(
    days: Annotated[int, typer.Option(help="What is so old can go; at least 7.")] = 30,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go.")] = False,
    store: StoreUrl = STORE,
) -> None:
    """Free the store of what no bundle in service refers to."""
    from datetime import timedelta

    from pipeline.releases.releases import kept_alive
    from pipeline.store.garbage_collection import collect, find_garbage

    opened = Store(store)
    garbage = find_garbage(opened, timedelta(days=days), kept_alive(opened))
    if not dry_run:
        garbage = collect(opened, garbage)
    typer.echo(
        f"{len(garbage.records)} steps, {len(garbage.objects)} files, "
        f"{len(garbage.checkpoints)} checkpoints, "
        f"{garbage.size_bytes / 1e6:.1f} MB, {'could go' if dry_run else 'are gone'}"
    )


def _exit_code(outcome: str) -> int:
    from targets.bundle.verdict import Outcome

    return Outcome(outcome).exit_code


def main() -> None:
    """Run the command line; every error is one line."""
    try:
        code = app(standalone_mode=False)
    except InputError as error:
        sys.exit(_complain(str(error), 1))
    except UsageError as error:
        if not str(error):  # No command: the help has been printed.
            sys.exit(USAGE)
        sys.exit(_complain(f"{error}; see datafree-edge --help", USAGE))
    except ModuleNotFoundError as error:
        if error.name not in TRAINING:
            raise
        sys.exit(_complain(f"needs {error.name}: pip install 'datafree-edge[train]'", 1))
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except RuntimeError as error:  # Of torch, on whatever device.
        if not any(words in str(error) for words in OUT_OF_MEMORY):
            raise
        line = "out of memory; take a smaller overrides: {batch: ...} in distill and quantize"
        sys.exit(_complain(line, 1))
    except OSError as error:
        place = error.filename or "a file"
        sys.exit(_complain(f"{place}: {error.strerror or error}", 1))
    if code == INTERRUPTED:
        _complain("interrupted; the same command goes on where it stood", INTERRUPTED)
    sys.exit(code if isinstance(code, int) else 0)


def _complain(line: str, code: int) -> int:
    print(f"datafree-edge: {one_line(line)}", file=sys.stderr)
    return code


if __name__ == "__main__":
    main()
