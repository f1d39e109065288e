"""Names from a weights file are escaped in error messages."""

import io

import pytest
import torch

from base.errors import InputError
from pipeline.teachers.loading import parse_weights


def test_input_error_escapes_names_from_a_state_dict():
    file = io.BytesIO()
    torch.save({"a\n\x1b[2J": None}, file)
    with pytest.raises(InputError, match=r"found the keys a \\x1b\[2J"):
        parse_weights(file.getvalue(), "teacher.pt")
