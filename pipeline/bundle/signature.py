"""Signing a bundle, and telling whether it is as its signer left it (Ed25519, RFC 8032).

The signature is of the manifest, which holds the sha256 of every other file.

    openssl genpkey -algorithm ed25519 -out signing.pem
    openssl pkey -in signing.pem -pubout -out public.pem
"""

import base64
import os
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from base.durable_files import write_durably
from base.errors import InputError
from targets.bundle.bundle_files import MANIFEST, SIGNATURE

KEY = "DATAFREE_EDGE_SIGNING_KEY"
"""Environment variable: path of the private key that signs every bundle a run writes."""


def sign(bundle: Path, key: Path) -> None:
    """Write `manifest.sig` beside a bundle's manifest.

    Args:
        bundle: Its folder.
        key: A private key, PEM without a password.

    Raises:
        InputError: When there is no such key.
    """
    private = _private(key)
    signed = private.sign((bundle / MANIFEST).read_bytes())
    write_durably(bundle / SIGNATURE, base64.b64encode(signed).decode() + "\n")


def check_key() -> None:
    """Refuse, before any work is done, a run whose bundle could not be signed as it is asked.

    Raises:
        InputError: When the environment names a key that is none.
    """
    if os.environ.get(KEY):
        _private(Path(os.environ[KEY]))


def sign_if_asked(bundle: Path) -> None:
    """Sign by the key that the environment names, if it names one.

    Raises:
        InputError: When there is no such key.
    """
    if os.environ.get(KEY):
        sign(bundle, Path(os.environ[KEY]))


def verify(bundle: Path, key: Path) -> None:
    """Check a bundle's signature; `open_bundle` checks the rest against the manifest.

    Args:
        bundle: Its folder.
        key: The signer's public key, PEM.

    Raises:
        InputError: When it is not signed, or not by this key, or was changed since.
    """
    public = _public(key)
    try:
        signature = base64.b64decode((bundle / SIGNATURE).read_bytes().strip(), validate=True)
        public.verify(signature, (bundle / MANIFEST).read_bytes())
    except FileNotFoundError:
        raise InputError(f"{bundle}: is not signed") from None
    except (InvalidSignature, ValueError):
        raise InputError(
            f"{bundle}: is not signed by {key}, or was changed since; do not use it"
        ) from None


def _private(path: Path) -> Ed25519PrivateKey:
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise InputError(f"key {path}: cannot be read ({error})") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise InputError(f"key {path}: no Ed25519 key; openssl genpkey -algorithm ed25519")
    return key


def _public(path: Path) -> Ed25519PublicKey:
    try:
        key = serialization.load_pem_public_key(path.read_bytes())
    except OSError as error:
        raise InputError(f"key {path}: cannot be read ({error.strerror})") from None
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise InputError(
            f"key {path}: no public Ed25519 key; "
            "openssl pkey -in signing.pem -pubout -out public.pem makes one"
        )
    return key
