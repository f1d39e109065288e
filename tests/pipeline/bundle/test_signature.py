"""Signing bundles and verifying signatures."""

import subprocess

import pytest

from base.errors import InputError
from pipeline.bundle.signature import SIGNING_KEY_VARIABLE, sign, sign_if_configured, verify
from pipeline.config.run_file import read_run_file
from pipeline.releases.fetching import fetch_release
from pipeline.run import check_run
from pipeline.store.store import Store
from targets.bundle.bundle_files import MANIFEST, SIGNATURE
from tests.support.quick_run import write_run
from tests.support.releases import make_bundle, publish_bundle


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """A private and a public key, made with the documented commands."""
    folder = tmp_path_factory.mktemp("keys")
    private, public = folder / "signing.pem", folder / "public.pem"
    commands = (
        f"openssl genpkey -algorithm ed25519 -out {private}",
        f"openssl pkey -in {private} -pubout -out {public}",
    )
    for command in commands:
        subprocess.run(command.split(), check=True, capture_output=True)
    return private, public


def test_verify_accepts_signed_bundle_and_refuses_changed_manifest(keys, tmp_path):
    bundle = make_bundle(tmp_path / "bundle", "a")
    with pytest.raises(InputError, match="is not signed"):
        verify(bundle, keys[1])
    sign(bundle, keys[0])
    verify(bundle, keys[1])
    manifest = (bundle / MANIFEST).read_text()
    (bundle / MANIFEST).write_text(manifest.replace('"pass"', '"fail"'))
    with pytest.raises(InputError, match="or was changed after"):
        verify(bundle, keys[1])


@pytest.mark.parametrize("content", [b"", b"not base64!", b"QUFB", b"A" * 88])
def test_verify_refuses_malformed_signature(keys, tmp_path, content):
    bundle = make_bundle(tmp_path / "bundle", "a")
    (bundle / SIGNATURE).write_bytes(content)
    with pytest.raises(InputError, match="do not use it"):
        verify(bundle, keys[1])


def test_verify_refuses_signature_of_another_key(keys, tmp_path):
    other = tmp_path / "other.pem"
    command = f"openssl genpkey -algorithm ed25519 -out {other}"
    subprocess.run(command.split(), check=True, capture_output=True)
    bundle = make_bundle(tmp_path / "bundle", "a")
    sign(bundle, other)
    with pytest.raises(InputError, match="is not signed with"):
        verify(bundle, keys[1])


def test_invalid_key_is_named(keys, tmp_path):
    bundle = make_bundle(tmp_path / "bundle", "a")
    (tmp_path / "invalid.pem").write_text("no key")
    for key in (tmp_path / "none.pem", tmp_path / "invalid.pem", keys[1]):
        with pytest.raises(InputError, match=r"key .*pem"):
            sign(bundle, key)
    with pytest.raises(InputError, match=r"key .*signing\.pem"):
        verify(bundle, keys[0])


def test_run_signs_if_environment_names_key(keys, tmp_path, monkeypatch):
    bundle = make_bundle(tmp_path / "bundle", "a")
    sign_if_configured(bundle)
    assert not (bundle / SIGNATURE).exists()
    monkeypatch.setenv(SIGNING_KEY_VARIABLE, str(keys[0]))
    sign_if_configured(bundle)
    verify(bundle, keys[1])


def test_invalid_signing_key_is_refused_before_any_work(tmp_path, monkeypatch):
    monkeypatch.setenv(SIGNING_KEY_VARIABLE, str(tmp_path / "none.pem"))
    with pytest.raises(InputError, match=r"none\.pem"):
        check_run(read_run_file(write_run(tmp_path)), tmp_path / "bundle")


def test_signature_is_released_and_fetched_with_bundle(keys, tmp_path):
    bundle = make_bundle(tmp_path / "bundle", "a")
    sign(bundle, keys[0])
    store = Store(str(tmp_path / "store"))
    assert publish_bundle(store, bundle)
    fetch_release(store, "net", tmp_path / "fetched")
    verify(tmp_path / "fetched", keys[1])
