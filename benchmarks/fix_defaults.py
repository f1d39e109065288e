"""Add the defaults that are new in the code to the defaults.json of each table.

python -m benchmarks.fix_defaults

Run it after a field was added to a part of a recipe or to the run file; see `row_digest`.
"""

import typer

from benchmarks.mnist import jobs as mnist
from benchmarks.quantization import jobs as quantization
from benchmarks.row_digest import add_missing_defaults

TABLES = (
    (mnist.DEFAULTS_FILE, mnist.digest_rules),
    (quantization.DEFAULTS_FILE, quantization.digest_rules),
)


def main() -> None:
    """Add missing defaults and print their names."""
    for path, rules in TABLES:
        for named, fields in add_missing_defaults(path, rules()).items():
            print(f"{path.parent.name}: {named}: {', '.join(fields)}")


if __name__ == "__main__":
    typer.run(main)
