"""Every URL setting refuses a password, and the error does not show it."""

import pytest

from base.errors import InputError
from pipeline.store.store import Store
from pipeline.teachers.registry import find_changes
from pipeline.teachers.weights_file import check_weights

SECRET = "secret"


@pytest.mark.parametrize(
    "url",
    [
        f"sftp://user:{SECRET}@host/store",
        f"ftp://:{SECRET}@host:21/store",
        f"simplecache::sftp://user:{SECRET}@host/store",
        f"zip://a.pt::ftp://user:{SECRET}@host/a.zip",
    ],
)
def test_every_url_setting_refuses_a_password(tmp_path, url):
    store = Store(str(tmp_path / "store"))
    for what, action in {
        "store": lambda: Store(url),
        "registry": lambda: list(find_changes(url, store, 0.0, print)),
        "teacher": lambda: check_weights(f"{url}/teacher.pt"),
    }.items():
        with pytest.raises(InputError, match=f"^{what}: its URL contains a password") as caught:
            action()
        assert SECRET not in str(caught.value)
