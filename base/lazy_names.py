"""Names that a package imports from its modules on first use."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazy_names(package: str, modules: Mapping[str, str]) -> Callable[[str], Any]:
    r"""Return a `__getattr__` for a package's `__init__`.

    With it, importing one module of the package does not import the others, some of which may need
    torch.

    Args:
        package: The package's `__name__`.
        modules: By name, the module that defines it, relative to the package.

    Example:
        >>> __getattr__ = lazy_names("base", {"one_line": "one_line"})
        >>> __getattr__("one_line")("two\nlines")
        'two lines'
    """

    def get(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f"{package}.{modules[name]}"), name)

    return get
