"""Sphinx configuration. `make docs` builds the site with warnings as errors."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "docs" / "_ext")]

project = "datafree-edge"
author = "The datafree-edge authors"
copyright = author
extensions = ["myst_parser", "reference_pages"]
exclude_patterns = ["_build"]

myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence", "deflist"]

html_theme = "furo"
html_title = "datafree-edge"
html_copy_source = False
