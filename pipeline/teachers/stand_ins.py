"""Objects that checkpoints often hold beside the weights, read without creating them.

A pickle names the classes and functions that it needs. `torch.load` refuses all but those for
tensors. For the names listed here it is given a stand-in, so neither their code nor their modules
are used.
"""

from collections.abc import Callable
from typing import Any


class StandIn:
    """Takes the place of an object. It ignores all arguments and keeps no state."""

    def __new__(cls, *_: Any) -> "StandIn":
        """Return a new object."""
        return super().__new__(cls)

    def __init__(self, *_: Any) -> None:
        pass

    def __setstate__(self, _: Any) -> None:
        pass


class DictStandIn:
    """Takes the place of a subclass of dict. Pickles fill only real dicts."""

    def __new__(cls, *_: Any) -> Any:
        """Return an empty dict."""
        return {}


IGNORED = (
    "argparse.Namespace",
    "builtins.bool",
    "builtins.dict",
    "builtins.float",
    "builtins.frozenset",
    "builtins.int",
    "builtins.list",
    "builtins.range",
    "builtins.slice",
    "builtins.str",
    "builtins.tuple",
    "datetime.date",
    "datetime.datetime",
    "datetime.timedelta",
    "numpy._core.multiarray._reconstruct",
    "numpy._core.multiarray.scalar",
    "numpy.core.multiarray._reconstruct",
    "numpy.core.multiarray.scalar",
    "numpy.dtype",
    "numpy.ndarray",
    "pathlib.PosixPath",
    "pathlib.PurePosixPath",
    "pathlib.PureWindowsPath",
    "pathlib.WindowsPath",
    "pathlib._local.PosixPath",
    "pathlib._local.PurePosixPath",
    "pathlib._local.PureWindowsPath",
    "pathlib._local.WindowsPath",
    "types.SimpleNamespace",
)
"""Full names of values: settings, scores, paths and dates."""

IGNORED_DICTS = (
    "collections.defaultdict",
    "lightning.fabric.utilities.data.AttributeDict",
    "lightning_fabric.utilities.data.AttributeDict",
    "pytorch_lightning.utilities.parsing.AttributeDict",
)
"""Full names of subclasses of dict."""

STAND_INS: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = [
    *((StandIn, name) for name in IGNORED),
    *((DictStandIn, name) for name in IGNORED_DICTS),
]
"""The argument of `torch.serialization.safe_globals`."""
