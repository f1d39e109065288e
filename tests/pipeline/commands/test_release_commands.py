"""The commands `releases`, `fetch`, `roll-back` and `collect`."""

import pytest

from pipeline.releases.release_log import release_history
from pipeline.store.store import Store
from tests.support.releases import make_bundle, publish_bundle


def test_releases_are_listed_fetched_rolled_back_and_collected(run, tmp_path):
    store = tmp_path / "store"
    for letter in "ab":
        assert publish_bundle(Store(str(store)), make_bundle(tmp_path / letter, letter))
    newest, oldest = (r.bundle[:12] for r in reversed(release_history(Store(str(store)), "net")))
    code, out, _ = run("releases", store=store)
    assert (code, newest in out, oldest in out) == (0, True, False)
    code, out, _ = run("releases", "net", store=store)
    assert (code, newest in out, oldest in out) == (0, True, True)
    code, out, _ = run("roll-back", "net", store=store)
    assert out == f"net: bundle {oldest} is released again\n"
    code, out, _ = run("fetch", "net", "--output", tmp_path / "out", store=store)
    assert out == f"net: bundle {oldest} in {tmp_path / 'out'}\n"
    code, out, _ = run("collect", "--dry-run", store=store)
    assert out.startswith("0 steps, 0 files, 0 checkpoints, 0.0 MB would be deleted")
    code, _, err = run("roll-back", "net", store=store)
    assert (code, len(err.splitlines())) == (1, 1)
    assert "there is no earlier release" in err


def test_releases_of_a_target_are_listed_fetched_and_rolled_back(run, tmp_path):
    store = tmp_path / "store"
    opened, engines = Store(str(store)), {"thor": {"engine": "built", "recommended": "int8"}}
    for letter in "ab":
        assert publish_bundle(opened, make_bundle(tmp_path / letter, letter, engines=engines))
    newest, oldest = (r.bundle[:12] for r in reversed(release_history(opened, "net@thor")))
    _, out, _ = run("releases", store=store)
    assert "net@thor" in out
    assert run("roll-back", "net", "--target", "thor", store=store)[1].split()[2] == oldest
    arguments = ("fetch", "net", "--output", tmp_path / "out")
    assert run(*arguments, "--target", "thor", store=store)[1].split()[2] == oldest
    assert run(*arguments, store=store)[1].split()[2] == newest
    assert oldest in run("releases", "net", "--target", "thor", store=store)[1]
    code, _, err = run(*arguments, "--target", "orin", store=store)
    assert (code, len(err.splitlines())) == (1, 1)
    assert "use --target with one of: thor" in err


@pytest.mark.parametrize("arguments", [(), ("net",), ("--store", "x")])
def test_former_name_of_releases_is_refused_with_the_new_one(run, tmp_path, arguments):
    code, _, err = run("service", *arguments, store=tmp_path)
    assert code == 64
    assert "service is now called releases" in err
    assert len(err.splitlines()) == 1
