"""The commands `run`, `recipes` and `runs`."""

import json
import signal
import time

import pytest

from pipeline.bundle.run_log import log_run
from pipeline.store.store import Store
from tests.support.command_line import run_process, start
from tests.support.quick_run import write_run


def test_recipes_are_listed_and_shown(run, tmp_path):
    code, listed, _ = run("recipes", store=tmp_path)
    assert code == 0
    assert "pre-dfkd" in listed
    code, shown, _ = run("recipes", "pre-dfkd", store=tmp_path)
    assert code == 0
    assert "Binici" in shown
    assert "vae" in shown.lower()
    assert "student_lr" in shown
    code, _, err = run("recipes", "pre-dfk", store=tmp_path)
    assert code == 1
    assert "'pre-dfkd'" in err


def test_runs_of_a_store_are_listed_the_newest_first(run, tmp_path, same_bundle):
    store = tmp_path / "store"
    manifest = json.loads((same_bundle / "manifest.json").read_text())
    for name in ("net", "[b]net"):
        log_run(Store(str(store)), {**manifest, "name": name})
    code, out, _ = run("runs", store=store)
    assert code == 0
    rows = [line for line in out.splitlines() if manifest["bundle"][:12] in line]
    assert ["[b]net" in row for row in rows] == [True, False]
    assert "pass" in rows[0]
    code, out, _ = run("runs", "--json", store=store)
    assert code == 0
    listed = json.loads(out)
    assert [each["name"] for each in listed] == ["[b]net", "net"]
    assert listed[0]["agreement"] == manifest["verdict"]["agreement"]
    int8 = manifest["targets"]["local-cpu"]["int8"]
    assert listed[0]["targets"]["local-cpu"]["int8_bytes"] == int8["bytes"]


def test_run_is_listed_after_it(run, same_bundle, quick_store):
    manifest = json.loads((same_bundle / "manifest.json").read_text())
    code, out, _ = run("runs", "--json", store=quick_store)
    assert code == 0
    assert manifest["bundle"] in [each["bundle"] for each in json.loads(out)]


@pytest.mark.parametrize(
    ("recipe", "as_option", "overrides"),
    # zskd keeps no generator, so another one is trained for the quantized student.
    [
        pytest.param("dafl", True, {}, marks=pytest.mark.slow),
        ("zskd", False, {"inner_steps": 3}),
    ],
)
def test_recipe_is_set_by_option_or_by_run_file(
    run, recipe, as_option, overrides, tmp_path, quick_store
):
    distill = {"budget": {"steps": 2}, "overrides": overrides}
    run_file = write_run(tmp_path, distill=distill if as_option else {**distill, "recipe": recipe})
    option = ("--recipe", recipe) if as_option else ()
    arguments = ("run", run_file, *option, "--output", tmp_path / "bundle")
    code, _, err = run(*arguments, store=quick_store)
    assert code in (0, 2, 3), err
    manifest = json.loads((tmp_path / "bundle" / "manifest.json").read_text())
    assert manifest["run"]["distill"]["recipe"] == recipe
    assert manifest["health"] == []
    assert manifest["gate"] == {"rounds": 20, "batch": 64, "drawn": [32, 32]}
    assert (
        "20 rounds of 64 images, drawn at 32 x 32" in (tmp_path / "bundle/report.html").read_text()
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "exit_code", "phases"),
    [
        (signal.SIGINT, 130, ("distill", "quantize", "probe generator 1")),
        (signal.SIGTERM, 143, ("quantize",)),
    ],
)
def test_interrupted_run_continues(tmp_path, number, exit_code, phases):
    run_file = write_run(tmp_path, gate={"rounds": 20, "generators": 1})
    arguments = ("run", run_file, "--output", tmp_path / "out")
    store = tmp_path / "store"
    for phase in phases:
        process = start(*arguments, store=store)
        for line in process.stderr:
            if line.startswith(phase):
                break
        time.sleep(0.2)
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
        assert process.returncode == exit_code, err
        assert "interrupted" in err
        assert "Traceback" not in err
        assert not (tmp_path / "out").exists()
        assert not list(tmp_path.rglob("*.part"))
    code, _, err = run_process(*arguments, store=store)
    assert code == 2, err  # The quick student is a poor one.
    assert "teacher: reused" in err
    assert (tmp_path / "out" / "manifest.json").exists()


def test_second_run_reuses_every_step(run, tmp_path, quick_store):
    run_file = write_run(tmp_path)
    for name in ("first", "second"):
        code, _, err = run("run", run_file, "--output", tmp_path / name, store=quick_store)
        assert code == 2
    assert err.count(": reused") == 8
