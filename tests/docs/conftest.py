"""Make the documentation's extension importable."""

import sys

from tests.support.quick_run import ROOT

sys.path.insert(0, str(ROOT / "docs" / "_ext"))
