"""InputError: its message is always one printable line."""

from hypothesis import given
from hypothesis import strategies as st

from base.errors import InputError


@given(st.text())
def test_input_error_message_is_one_printable_line(text):
    assert str(InputError(text)).isprintable()


def test_input_error_keeps_a_printable_message_unchanged():
    message = "teacher größe  2.pt: it holds 'état', 名前; save another"
    assert str(InputError(message)) == message


def test_input_error_replaces_line_breaks_and_escapes_control_characters():
    assert str(InputError("a\n  b \r\n\u2028c\n")) == "a b c"
    assert str(InputError("\x1b[2Jgone\t\udc80")) == r"\x1b[2Jgone\t\udc80"
