"""Places that others will read of: in the parameters of a flow run, in logs, in errors."""

from urllib.parse import urlsplit

from base.errors import InputError


def check_url(url: str, what: str) -> None:
    """Refuse a URL that carries a password; the error does not repeat it.

    Args:
        url: Or a path; of a chain (`simplecache::sftp://...`) every link is looked at.
        what: Whose place it is, for the error.

    Raises:
        InputError: With the remedy.
    """
    for link in url.split("::"):
        try:
            password = urlsplit(link).password
        except ValueError:  # Brackets that are no address: no URL at all.
            continue
        if password is not None:
            raise InputError(
                f"{what}: its URL carries a password, which parameters and logs would show; leave "
                "it out, and set it in fsspec's configuration (~/.config/fsspec) or environment"
            )
