"""Hypothesis strategies for hostile input, and checks of what it may cause."""

import os
import tempfile
import uuid
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

from base.errors import InputError

FUZZ = settings(
    # The number of examples is that of the active profile, see tests/conftest.py.
    deadline=None,
    # Without shrinking, which takes longer than a test may.
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=list(HealthCheck),
)

FUZZ_TIMEOUT = pytest.mark.timeout(8 * settings.default.max_examples, method="thread")
"""Ends the test run with a stack trace if an example hangs, also inside a library's C code.

The time limit is 120 s for the 15 examples of the profile "quick".
"""

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(["../../x", "/etc/passwd", "local-cpu@../../x", "\0", "a:b", "s3://", "*"]),
)

VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)

# All workers of one test run share the name: pytest-xdist compares the tests that they collect.
RUN = os.environ.get("PYTEST_XDIST_TESTRUNUID") or uuid.uuid4().hex
ESCAPED = Path(tempfile.gettempdir()) / f"escaped-{RUN}"
"""A path outside every test folder. Some of NAMES lead there; nothing may create it."""

NAMES = st.one_of(
    st.text(max_size=30),
    st.sampled_from(["../escaped", "a/../../escaped", "../../escaped", "a/../../../escaped"]),
    st.sampled_from(["a\0b", "a" * 300, ".", "a/.", "a", "a/b", ".."]),
    st.just(str(ESCAPED)),
)


@contextmanager
def sandbox():
    """A folder inside two others; fail if anything is created beside it or beside its parent."""
    with tempfile.TemporaryDirectory() as outer:
        root = Path(outer) / "middle" / "root"
        root.mkdir(parents=True)
        yield root
        for folder, inside in ((Path(outer), ["middle"]), (root.parent, ["root"])):
            assert sorted(path.name for path in folder.iterdir()) == inside


def succeeds_or_raises_one_line(action):
    """Call `action`; return its result, or None after an InputError of one line."""
    try:
        return action()
    except InputError as error:
        assert str(error)
        assert "\n" not in str(error)
        return None


@st.composite
def mutated(draw, content):
    """Draw copies of valid bytes with some bytes changed, deleted or inserted."""
    data = bytearray(content)
    for _ in range(draw(st.integers(1, 8))):
        place = draw(st.integers(0, max(0, len(data) - 1)))
        kind = draw(st.sampled_from(["change", "cut", "insert"]))
        if kind == "change" and data:
            data[place] = draw(st.integers(0, 255))
        elif kind == "cut":
            del data[place : place + draw(st.integers(1, 2000))]
        else:
            data[place:place] = draw(st.binary(max_size=40))
    return bytes(data)
