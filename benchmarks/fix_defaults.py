"""Add the defaults that are new in the code to the defaults.json of each table.

python -m benchmarks.fix_defaults

Run it after a field was added to a part of a recipe or to the run file; see `row_digest`.
"""

import typer

from benchmarks.quantization import jobs as quantization
from benchmarks.row_digest import add_missing_defaults


def main() -> None:
    """Add missing defaults and print their names."""
    for table in (quantization,):
        for named, fields in add_missing_defaults(
            table.DEFAULTS_FILE, table.digest_rules()
        ).items():
            print(f"{table.DEFAULTS_FILE.parent.name}: {named}: {', '.join(fields)}")


if __name__ == "__main__":
    typer.run(main)
