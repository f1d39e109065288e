import pytest

from base.duration import duration


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (99, "99 s"), (120, "2 min"), (7200, "2.0 h")]
)
def test_duration_has_a_suitable_unit(seconds, text):
    assert duration(seconds) == text
