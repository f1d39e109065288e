"""Networks and recorded forward passes: teachers, students, generators and the autoencoder."""

from typing import TYPE_CHECKING, Any

from dfkd.models.table import ARCHITECTURES, Architecture, modules_of
from dfkd.references import load

if TYPE_CHECKING:
    from dfkd.models.construction import build

__all__ = ["ARCHITECTURES", "Architecture", "build", "modules_of"]


def __getattr__(name: str) -> Any:
    if name == "build":
        return load("dfkd.models.construction:build")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
