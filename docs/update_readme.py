"""Write the present table of methods into README.md. `make docs` runs this."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "docs" / "_ext")]

from reference_pages.readme import with_methods  # noqa: E402

readme = ROOT / "README.md"
text = readme.read_text()
if text != (present := with_methods(text)):
    readme.write_text(present)
