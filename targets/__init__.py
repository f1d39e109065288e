"""Devices: what they are, and how to lint, compile, time and check for them. No torch here."""

import sys

# Written for any Python: a JetPack's own (3.6, 3.8) gets no further than these lines.
if sys.version_info < (3, 10):  # noqa: UP036
    sys.exit(
        "targets: this is Python %d.%d, and 3.10 or newer is needed; "  # noqa: UP031
        "put one beside it, as targets/README.md says under Install" % sys.version_info[:2]
    )
