"""Commands about run files, recipes and runs: run, check, recipes, runs."""

import json
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from pipeline.commands.parameters import AsJson, Output, RunFile, StoreUrl, open_store


def run(
    run_file: RunFile,
    student: Annotated[
        str | None,
        typer.Option(
            help='Use another student: an architecture, or "same" to quantize the teacher.'
        ),
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(
            help="Distil with another recipe and its own settings; the budget stays the same."
        ),
    ] = None,
    target: Annotated[
        list[str] | None,
        typer.Option(help="Use another target; repeat the option for several targets."),
    ] = None,
    budget: Annotated[
        int | None, typer.Option(help="Distil for another number of student steps.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Use another random seed.")] = None,
    output: Output = None,
    store: StoreUrl = None,
    metrics: Annotated[
        Path | None,
        typer.Option(help="Write the losses to this folder, as JSON lines and for TensorBoard."),
    ] = None,
) -> None:
    """Distil, quantize, export, compile and validate a student; write a bundle.

    Unchanged steps are reused from the store. An interrupted run continues from its last
    checkpoint.
    """
    from pipeline.config.run_file import read_run_file
    from pipeline.config.run_overrides import RunOverrides
    from pipeline.teachers.config_checks import check_config

    targets = tuple(target) if target else None
    overrides = RunOverrides(None, student, recipe, targets, budget, seed)
    config = read_run_file(run_file, overrides, partial(typer.echo, err=True))
    # Also the first thing that `execute` does: a faulty run file is refused before slow imports.
    check_config(config)

    from pipeline.bundle.summary import summary_table
    from pipeline.commands.tables import print_table
    from pipeline.run import default_output, execute
    from pipeline.training.progress import reporter

    folder = (output or default_output(config)).absolute()
    with reporter() as progress:
        manifest = execute(config, open_store(store), folder, progress, metrics)
    print_table(summary_table(manifest, folder))
    if manifest["verdict"]:
        from targets.bundle.verdict import Outcome

        raise typer.Exit(Outcome(manifest["verdict"]["outcome"]).exit_code)


def check(
    run_file: RunFile,
    output: Output = None,
    as_json: AsJson = False,
) -> None:
    """Check a run file by a dry run: every part once, on very few images.

    Prints the student's layers, what is quantized, what TensorRT would run slowly, and an estimate
    of time and memory on this machine.
    """
    from pipeline.config.run_file import read_run_file
    from pipeline.teachers.config_checks import check_config

    config = read_run_file(run_file)
    check_config(config)

    from pipeline.dry_run.dry_run import dry_run
    from pipeline.dry_run.lines import dry_run_lines
    from pipeline.run import check_run, default_output
    from pipeline.training.progress import reporter

    check_run(config, output or default_output(config))
    with reporter() as progress:
        found = dry_run(config, progress)
    if as_json:
        typer.echo(json.dumps(found.as_json(), indent=2))
        return
    for line in dry_run_lines(found):
        typer.echo(line)
    count = len(found.warnings)
    result = (
        f"can be run, but has {count} warning{'s'[: count > 1]}" if count else "no problems found"
    )
    typer.echo(f"{run_file}: {result}")


def recipes(
    name: Annotated[
        str | None, typer.Argument(help="A recipe to show; all are listed if not given.")
    ] = None,
) -> None:
    """List the recipes, or show one: its parts, paper, reported figures, and our deviations."""
    from pipeline.commands.tables import print_table
    from pipeline.config.chosen_recipes import chosen_recipe
    from pipeline.config.recipe_card import recipe_card, recipe_list

    print_table(recipe_card(chosen_recipe(name, {})) if name else recipe_list())


def runs(store: StoreUrl = None, as_json: AsJson = False) -> None:
    """List the runs that wrote a bundle with a store, the newest first.

    Shows teacher, student, verdict and agreement of each run, and for each CPU target the size and
    the latency of the float32 and the int8 model. If a bundle was written several times, the newest
    run is shown.
    """
    from pipeline.bundle.run_log import logged_runs
    from pipeline.bundle.run_tables import runs_table
    from pipeline.commands.tables import print_table

    opened = open_store(store)
    found = logged_runs(opened)
    if as_json:
        typer.echo(json.dumps([run.as_json() for run in found], indent=2))
        return
    print_table(runs_table(found, f"Runs in {opened.url}"))
