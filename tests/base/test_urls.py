"""A password in a place's name is refused before it is shown anywhere, by the refusal too."""

import pytest

from base.errors import InputError
from base.urls import check_url
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
def test_a_password_is_refused_wherever_a_url_may_stand(tmp_path, url):
    store = Store(str(tmp_path / "store"))
    for what, action in {
        "store": lambda: Store(url),
        "registry": lambda: list(find_changes(url, store, 0.0, print)),
        "teacher": lambda: check_weights(f"{url}/teacher.pt"),
    }.items():
        with pytest.raises(InputError, match=f"^{what}: its URL carries a password") as caught:
            action()
        assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "s3://bucket/a:b@c",
        "sftp://user@host:22/store",
        "/home/me@work/a:b",
        "C:/x@y",
        "simplecache::s3://bucket/x",
        "memory://[",
    ],
)
def test_what_has_no_password_is_let_through(url):
    check_url(url, "store")
