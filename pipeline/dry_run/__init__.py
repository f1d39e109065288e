"""The dry run of `datafree-edge check`: every part of a run once, on very few images."""

from base.lazy_names import lazy_names

__all__ = ["DryRun", "dry_run", "dry_run_lines"]

__getattr__ = lazy_names(
    __name__,
    {"DryRun": "dry_run", "dry_run": "dry_run", "dry_run_lines": "lines"},
)
