"""InputError: its message is always one printable line."""

import io

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from base.errors import InputError
from pipeline.teachers.loading import parse_weights


@given(st.text())
def test_input_error_message_is_one_printable_line(text):
    assert str(InputError(text)).isprintable()


def test_input_error_keeps_a_printable_message_unchanged():
    message = "teacher größe  2.pt: it holds 'état', 名前; save another"
    assert str(InputError(message)) == message


def test_input_error_replaces_line_breaks_and_escapes_control_characters():
    assert str(InputError("a\n  b \r\n\u2028c\n")) == "a b c"
    assert str(InputError("\x1b[2Jgone\t\udc80")) == r"\x1b[2Jgone\t\udc80"


def test_input_error_escapes_names_from_a_state_dict():
    file = io.BytesIO()
    torch.save({"a\n\x1b[2J": None}, file)
    with pytest.raises(InputError, match=r"found the keys a \\x1b\[2J"):
        parse_weights(file.getvalue(), "teacher.pt")
