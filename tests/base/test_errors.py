"""The promise of InputError: one line that a terminal prints and does not act on."""

import io

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from base.errors import InputError
from pipeline.teachers.loading import parse_weights


@given(st.text())
def test_every_message_is_one_printable_line(text):
    assert str(InputError(text)).isprintable()


def test_a_plain_message_is_kept_as_it_is():
    message = "teacher größe  2.pt: it holds 'état', 名前; save another"
    assert str(InputError(message)) == message


def test_breaks_become_spaces_and_what_a_terminal_acts_on_is_escaped():
    assert str(InputError("a\n  b \r\n\u2028c\n")) == "a b c"
    assert str(InputError("\x1b[2Jgone\t\udc80")) == r"\x1b[2Jgone\t\udc80"


def test_the_names_in_a_state_dict_cannot_break_the_line():
    file = io.BytesIO()
    torch.save({"a\n\x1b[2J": None}, file)
    with pytest.raises(InputError, match=r"found the keys a \\x1b\[2J"):
        parse_weights(file.getvalue(), "teacher.pt")
