"""Sign a bundle and verify its signature (Ed25519, RFC 8032).

The manifest is signed. It holds the sha256 of every other file. To make a key pair:

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

SIGNING_KEY_VARIABLE = "DATAFREE_EDGE_SIGNING_KEY"
"""Environment variable: path of the private key that signs every bundle a run writes."""


def sign(bundle: Path, key: Path) -> None:
    """Write the signature of a bundle's manifest to `manifest.sig`.

    Args:
        bundle: The bundle's folder.
        key: A private key in PEM format, without a password.

    Raises:
        InputError: If the key is missing or of another kind.
    """
    private = _private_key(key)
    signature = private.sign((bundle / MANIFEST).read_bytes())
    write_durably(bundle / SIGNATURE, base64.b64encode(signature).decode() + "\n")


def check_signing_key() -> None:
    """Check the key that the environment names, before any work is done.

    Raises:
        InputError: If `SIGNING_KEY_VARIABLE` is set to anything but a private Ed25519 key.
    """
    if os.environ.get(SIGNING_KEY_VARIABLE):
        _private_key(Path(os.environ[SIGNING_KEY_VARIABLE]))


def sign_if_configured(bundle: Path) -> None:
    """Sign a bundle with the key that the environment names, if it names one.

    Raises:
        InputError: If `SIGNING_KEY_VARIABLE` is set to anything but a private Ed25519 key.
    """
    if os.environ.get(SIGNING_KEY_VARIABLE):
        sign(bundle, Path(os.environ[SIGNING_KEY_VARIABLE]))


def verify(bundle: Path, key: Path) -> None:
    """Verify the signature of a bundle's manifest.

    The other files are checked against the manifest by `open_bundle`.

    Args:
        bundle: The bundle's folder.
        key: The signer's public key in PEM format.

    Raises:
        InputError: If the bundle is not signed, is signed with another key, or was changed after
            it was signed.
    """
    public = _public_key(key)
    try:
        signature = base64.b64decode((bundle / SIGNATURE).read_bytes().strip(), validate=True)
        public.verify(signature, (bundle / MANIFEST).read_bytes())
    except FileNotFoundError:
        raise InputError(
            f"{bundle}: is not signed: it has no {SIGNATURE}; sign it with: datafree-edge sign"
        ) from None
    except (InvalidSignature, ValueError):
        raise InputError(
            f"{bundle}: is not signed with the private key of {key}, or was changed after it was "
            "signed; do not use it"
        ) from None


def _private_key(path: Path) -> Ed25519PrivateKey:
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise InputError(
            f"key {path}: cannot be read as a private key ({error}); "
            "make one with: openssl genpkey -algorithm ed25519 -out signing.pem"
        ) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise InputError(
            f"key {path}: is not an Ed25519 key; "
            "make one with: openssl genpkey -algorithm ed25519 -out signing.pem"
        )
    return key


def _public_key(path: Path) -> Ed25519PublicKey:
    try:
        key = serialization.load_pem_public_key(path.read_bytes())
    except OSError as error:
        raise InputError(f"key {path}: cannot be read ({error.strerror}); check --key") from None
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise InputError(
            f"key {path}: is not a public Ed25519 key; "
            "make one with: openssl pkey -in signing.pem -pubout -out public.pem"
        )
    return key
