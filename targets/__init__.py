"""Target devices: what they are, and how to lint, compile, time and check for them; no torch."""

import sys

__all__ = ["bundle", "catalogue", "cpu", "graph", "lint", "on_device", "tensorrt"]

# Python 3.6 and 3.8, the system's on JetPack 4 and 5, must be able to parse this file.
if sys.version_info < (3, 10):  # noqa: UP036
    sys.exit(
        "targets: this is Python %d.%d, but 3.10 or newer is required; "  # noqa: UP031
        "install one as described in docs/jetson.md" % sys.version_info[:2]
    )
