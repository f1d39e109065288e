"""What hostile input is made of, and what may come of it."""

import tempfile
import uuid
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

from base.errors import InputError

MANY = settings(
    max_examples=60,
    deadline=None,
    # To make what was found smaller takes longer than a test may.
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=list(HealthCheck),
)

AT_MOST = pytest.mark.timeout(120, method="thread")
"""What hangs, be it in a library's own code, ends the whole test run and says where."""

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

ESCAPED = Path(tempfile.gettempdir()) / f"escaped-{uuid.uuid4().hex}"
"""What is told to make it must not."""

NAMES = st.one_of(
    st.text(max_size=30),
    st.sampled_from(["../escaped", "a/../../escaped", "../../escaped", "a/../../../escaped"]),
    st.sampled_from(["a\0b", "a" * 300, ".", "a/.", "a", "a/b", ".."]),
    st.just(str(ESCAPED)),
)


@contextmanager
def watched():
    """A folder in two others; nothing may appear beside it, nor beside the one it is in."""
    with tempfile.TemporaryDirectory() as outer:
        root = Path(outer) / "middle" / "root"
        root.mkdir(parents=True)
        yield root
        for folder, inside in ((Path(outer), ["middle"]), (root.parent, ["root"])):
            assert sorted(path.name for path in folder.iterdir()) == inside


def fine_or_one_line(action):
    """Whatever it comes to, it is no traceback."""
    try:
        return action()
    except InputError as error:
        assert str(error)
        assert "\n" not in str(error)
        return None


@st.composite
def mutated(draw, content):
    """Some bytes of a good file changed, cut off or put in."""
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
