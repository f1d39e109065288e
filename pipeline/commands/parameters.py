"""Arguments and options that several commands share."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from base.errors import InputError

if TYPE_CHECKING:
    from pipeline.store.store import Store

RunFile = Annotated[
    Path,
    typer.Argument(help="The run file; examples/all_keys.yaml shows all keys.", metavar="RUN.yaml"),
]
BundleFolder = Annotated[Path, typer.Argument(help="The bundle's folder.")]
ReleaseName = Annotated[
    str, typer.Argument(help="The name of the release, which is the name in the run file.")
]
ReleaseTarget = Annotated[
    str | None,
    typer.Option(
        "--target",
        help="A target that is built on its own device. If not given, the release for CPUs, or the "
        "only one of the name.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Output = Annotated[
    Path | None,
    typer.Option(help="The folder to write the bundle to; bundles/NAME if not given."),
]
StoreUrl = Annotated[
    str | None,
    typer.Option(
        "--store",
        help="Folder or URL of the store. If not given, the value of DATAFREE_EDGE_STORE, or else "
        "~/.cache/datafree-edge.",
    ),
]


def open_store(url: str | None) -> "Store":
    """Open the store at a URL, or the default store."""
    from pipeline.run import default_store
    from pipeline.store.store import Store

    return Store(default_store() if url is None else url)


def check_page(path: Path) -> None:
    """Check that the page can be written, before any work is done.

    Raises:
        InputError: If its folder does not exist, or it is a folder itself.
    """
    if not path.parent.is_dir():
        raise InputError(f"--html {path}: no folder {path.parent}; create it first")
    if path.is_dir():
        raise InputError(f"--html {path}: is a folder; give the name of a file")
