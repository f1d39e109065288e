"""Commands about bundles and graphs: compare, validate, sign, verify, lint."""

import json
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from base.errors import InputError
from base.untrusted_files import PARSE_ERRORS
from pipeline.commands.parameters import AsJson, BundleFolder, check_page


def compare(
    bundles: Annotated[
        list[Path], typer.Argument(help="Folders of at least two bundles.", metavar="BUNDLE...")
    ],
    html: Annotated[
        Path | None, typer.Option(help="Write a page with tables and charts of the runs.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare bundles: verdicts, agreement, where it was lost, sizes, latencies.

    Also prints the keys of the run files in which the runs differ.
    """
    from pipeline.bundle.comparison import compare
    from pipeline.bundle.opening import open_bundle
    from pipeline.commands.tables import print_table

    if len(bundles) < 2:
        raise InputError(f"{bundles[0]}: only one bundle; give at least two to compare")
    if html:
        check_page(html)
    comparison = compare([open_bundle(folder) for folder in bundles])
    if html:
        from pipeline.bundle.comparison_page import write_comparison

        write_comparison(html, comparison)
    if as_json:
        typer.echo(json.dumps(comparison.as_json(), indent=2))
        return
    print_table(comparison.table())
    typer.echo(comparison.note)


def validate(
    bundle: BundleFolder,
    model: Annotated[
        Path | None,
        typer.Option(help="Validate this ONNX file instead of the bundle's int8 model."),
    ] = None,
) -> None:
    """Validate a bundle again, on this machine, with its own probes and threshold."""
    from pipeline.bundle.next_step import next_step
    from pipeline.bundle.opening import open_bundle
    from pipeline.bundle.revalidation import revalidate
    from pipeline.reporter import counting
    from pipeline.training.progress import reporter

    manifest = open_bundle(bundle)
    with reporter() as progress:
        verdict = revalidate(bundle, manifest, model, partial(counting, progress))
    typer.echo(
        f"{verdict.outcome}: agreement with the teacher {100 * verdict.agreement:.2f} % "
        f"[{100 * verdict.low:.2f}, {100 * verdict.high:.2f}] on {verdict.images} "
        f"synthetic probes (required: {100 * verdict.threshold:g} %); {verdict.because}"
    )
    if model is None:
        target = next(iter(manifest["targets"]))
        judged = {**manifest, "verdict": {"target": target, **verdict.as_json()}}
        try:
            advice = next_step(judged)
        except PARSE_ERRORS:  # A bundle of another version.
            advice = ""
        if advice:
            typer.echo(f"next: {advice}")
    raise typer.Exit(verdict.outcome.exit_code)


def sign(
    bundle: BundleFolder,
    key: Annotated[
        Path, typer.Option(help="The private Ed25519 key, a PEM file without a password.")
    ],
) -> None:
    """Sign a bundle, so that others can verify that it is unchanged."""
    from pipeline.bundle.opening import open_bundle
    from pipeline.bundle.signature import sign

    open_bundle(bundle)
    sign(bundle, key)
    typer.echo(f"{bundle}: signed")


def verify(
    bundle: BundleFolder,
    key: Annotated[Path, typer.Option(help="The signer's public key, a PEM file.")],
) -> None:
    """Verify a bundle's signature, and check every file against the signed manifest."""
    from pipeline.bundle.opening import open_bundle
    from pipeline.bundle.signature import verify

    verify(bundle, key)
    open_bundle(bundle)
    typer.echo(f"{bundle}: complete, unchanged, and signed with the private key of {key}")


def lint(
    graph: Annotated[Path, typer.Argument(help="An ONNX file.", metavar="GRAPH.onnx")],
) -> None:
    """Check an int8 ONNX graph against TensorRT's rules, and warn of what makes it slow."""
    from targets.lint.linter import lint_report

    try:
        lines, refused = lint_report(graph)
    except ValueError as error:
        raise InputError(str(error)) from None
    typer.echo("\n".join(lines))
    raise typer.Exit(1 if refused else 0)
