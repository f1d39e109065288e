"""Releases, and orders to devices for engines.

A *release* is the bundle that devices should use under a name: the last one that passed its verdict
in a flow run, or an earlier one that a person rolled back to. A bundle that fails its verdict never
becomes a release. Each name has a log in the store with one entry a release; the last entry is the
current release. A target whose engine is built on its own device has a log of its own, which gets
the bundle only once the engine is built and has passed.
"""

from base.lazy_names import lazy_names

__all__ = [
    "Release",
    "fetch_release",
    "objects_in_use",
    "publish",
    "release_history",
    "release_names",
    "roll_back",
]

__getattr__ = lazy_names(
    __name__,
    {
        "Release": "release_log",
        "fetch_release": "fetching",
        "objects_in_use": "release_log",
        "publish": "publishing",
        "release_history": "release_log",
        "release_names": "release_log",
        "roll_back": "publishing",
    },
)
