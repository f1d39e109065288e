"""Write the generated parts of README.md and of pages in docs/. `make docs` runs this."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "docs" / "_ext")]

from reference_pages.parts import generated_parts, with_parts  # noqa: E402

for page, parts in generated_parts().items():
    path = ROOT / page
    text = path.read_text()
    if text != (present := with_parts(text, parts)):
        path.write_text(present)
        print(f"{page}: updated")
