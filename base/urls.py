"""Checks on URLs that appear in flow parameters, logs and error messages."""

from urllib.parse import urlsplit

from base.errors import InputError


def check_url(url: str, what: str) -> None:
    """Refuse a URL that contains a password; the error message does not repeat it.

    Args:
        url: A URL or a path. Every link of a chained URL (`simplecache::sftp://...`) is checked.
        what: What the URL is for, to begin the error message.

    Raises:
        InputError: If the URL contains a password.
    """
    for link in url.split("::"):
        try:
            password = urlsplit(link).password
        except ValueError:  # Unbalanced brackets: not a URL.
            continue
        if password is not None:
            raise InputError(
                f"{what}: its URL contains a password, which flow parameters and logs would show; "
                "remove it from the URL and set it in fsspec's configuration (~/.config/fsspec) "
                "or in the environment"
            )
