"""Hostile records, logs and checkpoints in a store are handled without a traceback."""

import io
import json
from datetime import timedelta
from types import SimpleNamespace

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from rich.console import Console

from base.errors import InputError
from dfkd.training.budget import Plan
from pipeline.bundle.run_figures import run_figures
from pipeline.bundle.run_log import log_run, logged_runs
from pipeline.bundle.run_tables import runs_table
from pipeline.chain import add_artifacts, chain, run_step, step_key
from pipeline.commands.tables import UNLIMITED
from pipeline.config.run_file import read_run_file
from pipeline.releases.fetching import fetch_release
from pipeline.releases.publishing import publish, roll_back
from pipeline.releases.release_log import objects_in_use, release_history
from pipeline.releases.release_tables import history_table, releases_table
from pipeline.store.garbage_collection import find_garbage
from pipeline.store.step_record import Artifact, StepRecord, digest
from pipeline.store.step_workspace import Workspace
from pipeline.store.storage import Files
from pipeline.store.store import Store
from pipeline.training.checkpoint import PARTS, Checkpoint, machine
from pipeline.training.resumable_training import train
from tests.pipeline.test_chain import Silent
from tests.support.figures import make_manifest
from tests.support.hostile_input import (
    ESCAPED,
    FUZZ,
    FUZZ_TIMEOUT,
    NAMES,
    VALUES,
    mutated,
    sandbox,
    succeeds_or_raises_one_line,
)
from tests.support.quick_run import write_run
from tests.support.releases import make_bundle
from tests.support.tiny import make_loop

pytestmark = FUZZ_TIMEOUT


@FUZZ
@given(mutated(json.dumps({"artifacts": {"a": {"name": "a", "sha256": "0" * 64}}}).encode()))
def test_broken_records_are_handled(content):
    with sandbox() as root:
        store = Store(str(root / "store"))
        store.record("step", "key", StepRecord({}, {}))
        (root / "store" / "steps" / "step" / "key.json").write_bytes(content)
        succeeds_or_raises_one_line(lambda: store.recall("step", "key"))


@FUZZ
@given(NAMES, st.text(max_size=70) | st.none())
def test_any_artifact_names_are_handled(name, sha256):
    """None stands for the sha256 of a stored object."""
    with sandbox() as outer, sandbox() as root:
        store = Store(str(outer / "store"))
        (outer / "content").write_text("content")
        there = store.put(outer / "content", "content").sha256
        known = there if sha256 is None else sha256
        succeeds_or_raises_one_line(lambda: store.get(Artifact(name, known, 0), root))
    assert not ESCAPED.exists()


ARTIFACTS = st.dictionaries(
    st.sampled_from(["teacher", "other"]),
    VALUES | st.fixed_dictionaries({"name": NAMES | VALUES, "sha256": VALUES, "size": VALUES}),
)


def resealed(document, place):
    """Return a document with a valid checksum, as an attacker would write it."""
    if not isinstance(document, dict):
        return document
    return {**document, "seal": digest([place, json.loads(json.dumps(document))])}


@FUZZ
@given(VALUES | st.fixed_dictionaries({"artifacts": VALUES | ARTIFACTS, "notes": VALUES}))
def test_any_record_values_are_handled(document):
    """A record that is accepted can be used by the next step."""
    with sandbox() as root:
        store, config = Store(str(root / "store")), read_run_file(write_run(root))
        teacher, distill = chain(config)[:2]
        key = step_key(teacher, config, teacher.settings(config, ""), {})
        store._files.write_json(place := f"steps/teacher/{key}.json", resealed(document, place))
        record = succeeds_or_raises_one_line(lambda: run_step(teacher, config, {}, store, Silent()))
        if record is not None:
            artifacts = add_artifacts({}, teacher, record, config)
            settings = distill.settings(config, "")
            succeeds_or_raises_one_line(lambda: step_key(distill, config, settings, artifacts))


DIGESTS = st.sampled_from([letter * 64 for letter in "abc"])

RELEASES = st.fixed_dictionaries(
    {
        "bundle": DIGESTS,
        "student": DIGESTS,
        "manifest": st.integers(0, 3),
        "signature": st.just("") | DIGESTS,
        "because": st.just("passed") | DIGESTS.map("instead of {}".format),
    },
    optional={"when": st.just("20260101T000000.000000Z")},
)
"""Valid releases; a number stands for one of the stored objects."""


@st.composite
def entries(draw):
    """Releases, some with a wrong field or replaced by any value."""
    found = []
    for release in draw(st.lists(RELEASES, min_size=1, max_size=4)):
        if draw(st.booleans()):
            release[draw(st.sampled_from([*release, "other"]))] = draw(VALUES)
        found.append(draw(VALUES) if draw(st.integers(0, 5)) == 0 else release)
    return found


RELEASE = {
    **{name: "a" * 64 for name in ("bundle", "student")},
    **{"manifest": 2, "signature": "", "because": "passed", "when": "20260101T000000.000000Z"},
}


@FUZZ
@given(entries(), VALUES)
@example([{**RELEASE, "signature": {}}], None)
def test_any_log_entries_are_handled(logged, stray):
    with sandbox() as root:
        store = Store(str(root / "store"))
        made = make_bundle(root / "made", "good")
        manifest = (made / "manifest.json").read_text()
        publish(store, made, json.loads(manifest)["bundle"])
        objects = []
        for content in (manifest, json.dumps(stray), '{"files": {}}', "{"):
            (root / "content").write_text(content)
            objects.append(store.put(root / "content", "content").sha256)
        for index, entry in enumerate(logged):
            if isinstance(entry, dict) and isinstance(number := entry.get("manifest"), int):
                entry["manifest"] = objects[number] if 0 <= number < 4 else number
            store._files.write_json(f"logs/service/net/2030-{index}.json", entry)
        for action in (
            lambda: release_history(store, "net"),
            lambda: objects_in_use(store),
            lambda: find_garbage(store, timedelta(days=7), objects_in_use(store)),
            lambda: shown(releases_table(store)),
            lambda: shown(history_table(store, "net")),
            lambda: fetch_release(store, "net", root / "current"),
            lambda: roll_back(store, "net"),
            lambda: publish(store, made, json.loads(manifest)["bundle"]),
        ):
            succeeds_or_raises_one_line(action)


LOGGED_RUN = run_figures(make_manifest()).as_json()


@FUZZ
@given(mutated(json.dumps({**LOGGED_RUN, "when": "20260101T000000.000000Z"}).encode()))
def test_any_entries_of_runs_are_handled(content):
    with sandbox() as root:
        store = Store(str(root / "store"))
        log_run(store, make_manifest())
        (root / "store/logs/runs/net/2030.json").write_bytes(content)
        succeeds_or_raises_one_line(lambda: shown(runs_table(logged_runs(store), "Runs")))


@pytest.mark.parametrize("value", [{}, None])
@pytest.mark.parametrize("field", RELEASE)
def test_log_field_of_a_wrong_type_is_damage(tmp_path, field, value):
    """An empty value of a wrong type is not taken for an empty text."""
    store = Store(str(tmp_path))
    entry = {**RELEASE, "manifest": "a" * 64}
    store._files.write_json("logs/service/net/2030.json", entry)
    assert len(release_history(store, "net")) == 1
    store._files.write_json("logs/service/net/2031.json", {**entry, field: value})
    with pytest.raises(InputError, match="an entry of logs/service/net is damaged"):
        release_history(store, "net")


def shown(table):
    console = Console(file=io.StringIO(), width=UNLIMITED)
    console.print(table)
    return console.file.getvalue()


def test_history_works_after_an_entry_is_deleted(tmp_path):
    """The error about a damaged entry says to delete it."""
    store = Store(str(tmp_path / "store"))
    made = {letter: make_bundle(tmp_path / letter, letter) for letter in "abc"}
    for each in made.values():
        publish(store, each, json.loads((each / "manifest.json").read_text())["bundle"])
    roll_back(store, "net")
    first, second, *_ = sorted((tmp_path / "store/logs/service/net").iterdir())
    second.unlink()
    assert len(release_history(store, "net")) == 3
    again = make_bundle(tmp_path / "again", "c")
    outcome = publish(store, again, json.loads((again / "manifest.json").read_text())["bundle"])
    assert outcome.name == "WITHHELD"
    assert first.exists()


@pytest.mark.parametrize("name", ["..", "../../escaped", "", "a/b", "."])
def test_log_name_cannot_lead_out_of_the_store(tmp_path, name):
    store = Store(str(tmp_path / "a" / "store"))
    for action in (
        lambda: store.append(f"service/{name}", {}),
        lambda: release_history(store, name),
    ):
        with pytest.raises(InputError, match="not a valid name"):
            action()
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_name_with_markup_is_shown_unchanged(tmp_path):
    store = Store(str(tmp_path / "store"))
    made = make_bundle(tmp_path / "made", "x", name="[bold]a[")
    publish(store, made, json.loads((made / "manifest.json").read_text())["bundle"])
    assert "[bold]a[" in shown(releases_table(store))


def saved(value):
    file = io.BytesIO()
    torch.save(value, file)
    return file.getvalue()


LOOP = make_loop(plan=Plan(2, 0))

GOOD = {
    "machine": machine(),
    "loop": LOOP.state_dict(),
    **{"curve": [], "shares": [], "seconds": 1.0, "elsewhere": []},
}


@st.composite
def checkpoints(draw):
    """A valid checkpoint with some wrong parts or broken bytes."""
    if draw(st.booleans()):
        return draw(mutated(saved(GOOD)) | st.binary(max_size=60))
    state = dict(GOOD["loop"])
    for name in draw(st.lists(st.sampled_from(sorted(state)), max_size=2)):
        state[name] = draw(VALUES)
    document = {**GOOD, "loop": state}
    for name in draw(st.lists(st.sampled_from(sorted(PARTS)), max_size=1)):
        document[name] = draw(VALUES)
    return saved(draw(st.just(document) | VALUES))


@FUZZ
@given(checkpoints())
def test_any_checkpoints_are_handled(content):
    with sandbox() as root:
        workspace = Workspace(Files(str(root)), "checkpoints/step")
        context = SimpleNamespace(workspace=workspace, reporter=Silent())
        kept = Checkpoint(context, "phase")
        (root / "content").write_bytes(content)
        workspace.save("phase.checkpoint", root / "content")
        notes = succeeds_or_raises_one_line(
            lambda: train(make_loop(plan=Plan(1, 0)), "phase", context)
        )
        if notes is not None:
            json.dumps(notes)
        assert kept.place == "checkpoints/step/phase.checkpoint"


@pytest.mark.parametrize("number", [-(2**60), -2, 2])
def test_checkpoint_of_an_impossible_round_is_an_input_error(tmp_path, number):
    """From a round far below zero the loop would not end."""
    workspace = Workspace(Files(str(tmp_path)), "checkpoints/step")
    context = SimpleNamespace(workspace=workspace, reporter=Silent())
    content = saved({**GOOD, "loop": {**GOOD["loop"], "round": number}})
    (tmp_path / "content").write_bytes(content)
    workspace.save("phase.checkpoint", tmp_path / "content")
    with pytest.raises(InputError, match=rf"phase\.checkpoint does not fit this loop .*{number}"):
        train(make_loop(plan=Plan(1, 0)), "phase", context)
