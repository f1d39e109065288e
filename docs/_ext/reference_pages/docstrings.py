"""Read Google-style docstrings."""

import re
from inspect import cleandoc

SECTION = re.compile(r"^(Args|Attributes|Raises|Returns|Examples?):$", re.MULTILINE)


def summary(docstring: str) -> str:
    """Return the text before the first section, such as `Attributes:`."""
    return SECTION.split(cleandoc(docstring))[0].strip()


def attributes(docstring: str) -> dict[str, str]:
    """Return the description of each attribute listed under `Attributes:`."""
    parts = SECTION.split(cleandoc(docstring))
    sections = dict(zip(parts[1::2], parts[2::2], strict=True))
    found = re.findall(
        r"^    (\w+)(?: \(.*?\))?: (.*(?:\n(?:        .*)?$)*)",
        sections.get("Attributes", ""),
        re.MULTILINE,
    )
    return {name: " ".join(text.split()) for name, text in found}
