"""Commands on the user's own pictures, and on this machine's speed: score, predict, benchmark."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.commands.parameters import AsJson, BundleFolder, check_page

if TYPE_CHECKING:
    from pipeline.user_images.bundle_models import BundleModels
    from targets.bundle.bundle_files import Manifest


def score(
    bundle: BundleFolder,
    images: Annotated[
        Path, typer.Option(help="Folder with your pictures; subfolders are searched too.")
    ],
    labels: Annotated[
        str | None,
        typer.Option(
            help="Where the classes are: by-folder, for FOLDER/CLASS/FILE, or a CSV file with the "
            "columns file,label.",
            metavar="by-folder|FILE.csv",
        ),
    ] = None,
    teacher: Annotated[
        Path | None,
        typer.Option(
            help="The bundle's run file: compare with the teacher too. Needs torch.",
            metavar="RUN.yaml",
        ),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(help="Write a page with the pictures on which the models differ."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Score a bundle's int8 and float models on your own pictures.

    With labels, prints the accuracy, with the 95 % Wilson interval. Without, prints how often the
    models agree: int8 with the teacher, or with the float model if no teacher is given. No run uses
    these pictures.
    """
    from pipeline.commands.tables import print_table
    from pipeline.training.progress import reporter
    from pipeline.user_images.labels import BY_FOLDER, labels_by_folder, labels_of_csv
    from pipeline.user_images.page import write_page
    from pipeline.user_images.reading import picture_files
    from pipeline.user_images.score import score
    from pipeline.user_images.score_report import ScoreReport
    from pipeline.user_images.scoring import answer

    models, manifest = _open(bundle)
    if html:
        check_page(html)
    files = picture_files(images)
    names = [path.relative_to(images).as_posix() for path in files]
    expected = None
    if labels == BY_FOLDER:
        expected = labels_by_folder(names, images, models.class_names, models.classes)
    elif labels:
        expected = labels_of_csv(Path(labels), names, models.class_names, models.classes)
    notes = [models.note] if models.note else []
    runners = {precision: models.runner(precision) for precision in models.files}
    if teacher:
        from pipeline.user_images.teacher_answers import open_teacher

        runners["teacher"], note = open_teacher(teacher, models, manifest)
        notes += [note] if note else []
    with reporter() as progress:
        answers = answer(files, models.input, runners, progress)
    figures = score(answers, images, expected, models)
    report = ScoreReport(manifest["name"], images, answers, expected, figures, notes)
    if html:
        write_page(html, report, models)
    if as_json:
        typer.echo(json.dumps(report.as_json(), indent=2))
        return
    for label, value in report.rows():
        typer.echo(f"{label}: {value}")
    print_table(report.class_table())


def predict(
    bundle: BundleFolder,
    images: Annotated[list[Path], typer.Argument(help="Picture files.", metavar="IMAGE...")],
    top: Annotated[int, typer.Option(help="Number of classes to print.", min=1)] = 5,
    as_json: AsJson = False,
) -> None:
    """Print the most probable classes of pictures, by a bundle's int8 model.

    The probabilities are the softmax of the logits.
    """
    from pipeline.user_images.predicting import predict

    models, _ = _open(bundle)
    if models.note:
        typer.echo(models.note, err=True)
    predictions = predict(images, models, top)
    if as_json:
        typer.echo(json.dumps([each.as_json() for each in predictions], indent=2))
        return
    for each in predictions:
        typer.echo(each.as_line())


def benchmark(bundle: BundleFolder, as_json: AsJson = False) -> None:
    """Time a bundle's float and int8 models on this machine, in ONNX Runtime.

    With batches of 1 and 8, one thread and all cores. The models run in turns. The table has the
    median of five rounds, and the smallest and the largest one.
    """
    from pipeline.commands.tables import print_table
    from pipeline.user_images.timing import time_bundle, timing_table, timings_as_json

    models, manifest = _open(bundle)
    if models.note:
        typer.echo(models.note, err=True)
    timings = time_bundle(models)
    if as_json:
        typer.echo(json.dumps(timings_as_json(manifest["name"], timings), indent=2))
        return
    print_table(timing_table(manifest["name"], timings))


def _open(folder: Path) -> "tuple[BundleModels, Manifest]":
    """Open a bundle and its models."""
    from pipeline.bundle.opening import open_bundle
    from pipeline.user_images.bundle_models import bundle_models

    manifest = open_bundle(folder)
    return bundle_models(folder, manifest), manifest
