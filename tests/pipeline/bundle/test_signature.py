"""A signed bundle is as its signer left it, or nobody takes it for that."""

import subprocess

import pytest

from base.errors import InputError
from pipeline.bundle.signature import KEY, sign, sign_if_asked, verify
from pipeline.config.run_file import read_run_file
from pipeline.releases.releases import fetch
from pipeline.run import check_run
from pipeline.store.store import Store
from targets.bundle.bundle_files import MANIFEST, SIGNATURE
from tests.support.quick_run import write_run
from tests.support.releases import bundle, served


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """Private and public, as the documented commands make them."""
    folder = tmp_path_factory.mktemp("keys")
    private, public = folder / "signing.pem", folder / "public.pem"
    commands = (
        f"openssl genpkey -algorithm ed25519 -out {private}",
        f"openssl pkey -in {private} -pubout -out {public}",
    )
    for command in commands:
        subprocess.run(command.split(), check=True, capture_output=True)
    return private, public


def test_what_was_signed_is_verified_and_a_changed_manifest_is_not(keys, tmp_path):
    made = bundle(tmp_path / "bundle", "a")
    with pytest.raises(InputError, match="is not signed"):
        verify(made, keys[1])
    sign(made, keys[0])
    verify(made, keys[1])
    manifest = (made / MANIFEST).read_text()
    (made / MANIFEST).write_text(manifest.replace('"pass"', '"fail"'))
    with pytest.raises(InputError, match="or was changed since"):
        verify(made, keys[1])


@pytest.mark.parametrize("content", [b"", b"not base64!", b"QUFB", b"A" * 88])
def test_what_is_no_signature_is_none(keys, tmp_path, content):
    made = bundle(tmp_path / "bundle", "a")
    (made / SIGNATURE).write_bytes(content)
    with pytest.raises(InputError, match="do not use it"):
        verify(made, keys[1])


def test_another_signers_key_does_not_fit(keys, tmp_path):
    other = tmp_path / "other.pem"
    command = f"openssl genpkey -algorithm ed25519 -out {other}"
    subprocess.run(command.split(), check=True, capture_output=True)
    made = bundle(tmp_path / "bundle", "a")
    sign(made, other)
    with pytest.raises(InputError, match="is not signed by"):
        verify(made, keys[1])


def test_what_is_no_key_is_named(keys, tmp_path):
    made = bundle(tmp_path / "bundle", "a")
    (tmp_path / "rubbish.pem").write_text("rubbish")
    for key in (tmp_path / "none.pem", tmp_path / "rubbish.pem", keys[1]):
        with pytest.raises(InputError, match=r"key .*pem"):
            sign(made, key)
    with pytest.raises(InputError, match=r"key .*signing\.pem"):
        verify(made, keys[0])


def test_a_run_signs_if_it_is_told_to(keys, tmp_path, monkeypatch):
    made = bundle(tmp_path / "bundle", "a")
    sign_if_asked(made)
    assert not (made / SIGNATURE).exists()
    monkeypatch.setenv(KEY, str(keys[0]))
    sign_if_asked(made)
    verify(made, keys[1])


def test_a_key_that_is_none_is_told_before_any_work(tmp_path, monkeypatch):
    monkeypatch.setenv(KEY, str(tmp_path / "none.pem"))
    with pytest.raises(InputError, match=r"none\.pem"):
        check_run(read_run_file(write_run(tmp_path)), tmp_path / "bundle")


def test_the_signature_goes_into_service_with_the_bundle(keys, tmp_path):
    made = bundle(tmp_path / "bundle", "a")
    sign(made, keys[0])
    store = Store(str(tmp_path / "store"))
    assert served(store, made)
    fetch(store, "net", tmp_path / "fetched")
    verify(tmp_path / "fetched", keys[1])
