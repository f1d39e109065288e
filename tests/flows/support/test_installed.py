import sys

import pytest

from base.errors import InputError
from flows.support import installed


def test_missing_modules_are_named_in_one_line(monkeypatch):
    installed.require_installed()
    monkeypatch.setattr(installed, "NEEDED", ("numpy", "no_such_module", "nor_this"))
    with pytest.raises(InputError, match="has no no_such_module, nor_this; start") as caught:
        installed.require_installed()
    assert sys.executable in str(caught.value)
