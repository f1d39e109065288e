"""check_url refuses a URL with a password, and the error does not show the password."""

import pytest

from base.errors import InputError
from base.urls import check_url

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
def test_check_url_refuses_a_password(url):
    with pytest.raises(InputError, match=r"^store: its URL contains a password") as caught:
        check_url(url, "store")
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
def test_check_url_accepts_urls_without_a_password(url):
    check_url(url, "store")
