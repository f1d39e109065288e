"""A device that builds its engine after the run has ended releases the bundle for its target."""

import json

import pytest

from base.errors import InputError
from pipeline.releases import fetch_release, release_history, release_names, roll_back
from pipeline.releases.awaited_engines import await_engines, release_awaited
from pipeline.releases.engine_orders import store_result
from targets.bundle.bundle_files import open_bundle
from targets.on_device.compile_bundle import ENGINE_REPORT
from tests.support.releases import make_bundle, publish_bundle, released_content

KEY = "e" * 64

PENDING = {"engine": "pending", "because": "no worker", "build": "...", "order": KEY}


def run_ends(store, folder, content="a", outcome="pass"):
    """A run that ends while the engine is pending."""
    bundle = make_bundle(folder, content, outcome, engines={"thor": PENDING})
    publish_bundle(store, bundle)
    await_engines(store, open_bundle(bundle))
    return bundle


def send_engine(store, folder, **report):
    """The device stores what it has built."""
    folder.mkdir()
    (folder / "int8.engine").write_text("engine")
    document = {"engine": "built", "recommended": "int8", "files": {"int8.engine": ""}, **report}
    (folder / ENGINE_REPORT).write_text(json.dumps(document))
    store_result(store, KEY, folder)


def device_builds(store, folder, **report):
    """The device stores what it has built, and releases."""
    send_engine(store, folder, **report)
    return release_awaited(store, KEY)


def test_engine_built_after_the_run_is_released_with_the_bundle(store, tmp_path):
    run_ends(store, tmp_path / "bundle")
    assert release_names(store) == ["net"]
    assert device_builds(store, tmp_path / "built") == ["net@thor"]
    fetch_release(store, "net@thor", tmp_path / "fetched")
    manifest = open_bundle(tmp_path / "fetched")
    assert manifest["engines"]["thor"]["recommended"] == "int8"
    assert (tmp_path / "fetched/targets/thor/int8.engine").read_text() == "engine"
    assert (tmp_path / "fetched/graphs/student.onnx").read_text() == "a"
    assert release_awaited(store, KEY) == [], "it is released already"
    assert released_content(store, tmp_path) == "a"


def test_engine_that_did_not_pass_is_not_released(store, tmp_path):
    run_ends(store, tmp_path / "bundle")
    assert device_builds(store, tmp_path / "built", recommended=None) == []
    assert release_names(store) == ["net"]


def test_engine_of_a_bundle_that_failed_is_not_released(store, tmp_path):
    run_ends(store, tmp_path / "bundle", outcome="fail")
    assert device_builds(store, tmp_path / "built") == []
    assert release_names(store) == []


def test_engine_built_during_the_run_is_left_to_the_run(store, tmp_path):
    assert device_builds(store, tmp_path / "built") == []


def test_bundle_that_was_replaced_or_rolled_back_is_not_released(store, tmp_path):
    publish_bundle(store, make_bundle(tmp_path / "first", "first"))
    run_ends(store, tmp_path / "bundle")
    roll_back(store, "net")
    assert device_builds(store, tmp_path / "built") == []
    assert len(release_history(store, "net@thor")) == 0


def test_signed_bundle_is_left_to_the_next_run(store, tmp_path):
    bundle = make_bundle(tmp_path / "bundle", "a", engines={"thor": PENDING})
    (bundle / "manifest.sig").write_text("signature")
    publish_bundle(store, bundle)
    await_engines(store, open_bundle(bundle))
    assert device_builds(store, tmp_path / "built") == []


def test_names_that_order_the_same_engine_are_all_released(store, tmp_path):
    run_ends(store, tmp_path / "bundle")
    other = make_bundle(tmp_path / "other", "a", name="other", engines={"thor": PENDING})
    publish_bundle(store, other)
    await_engines(store, open_bundle(other))
    assert device_builds(store, tmp_path / "built") == ["net@thor", "other@thor"]


@pytest.mark.parametrize("entry", [{}, {"name": "net"}])
def test_damaged_entry_is_named(store, tmp_path, entry):
    store.append(f"awaited/{KEY}", entry)
    with pytest.raises(InputError, match=f"an entry of logs/awaited/{KEY} is damaged"):
        device_builds(store, tmp_path / "built")
