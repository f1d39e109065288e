"""What comes from outside and means harm, or is broken: one clear error, or it is fine.

Never a traceback, never a file outside its root, never code that runs.
"""

import io
import json
import os
import pickle
import tempfile
import uuid
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.quick_run import EXAMPLE, QUICK, ROOT
from pipeline.bundle import open_bundle
from pipeline.errors import InputError
from pipeline.laid_out import lay_out
from pipeline.registry import changes
from pipeline.run import check_config
from pipeline.run_file import parse_run, read_run_file
from pipeline.store import Artifact, StepRecord, Store, digest
from pipeline.teachers import parse_weights
from targets.lint import told

MANY = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(["../../x", "/etc/passwd", "local-cpu@../../x", "\0", "a:b", "s3://", "*"]),
)

VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)

ESCAPED = Path(tempfile.gettempdir()) / f"escaped-{uuid.uuid4().hex}"
"""What is told to make it must not."""

NAMES = st.one_of(
    st.text(max_size=30),
    st.sampled_from(["../escaped", "a/../../escaped", "a\0b", "a" * 300, ".", "a/.", "a", "a/b"]),
    st.just(str(ESCAPED)),
)


@contextmanager
def watched():
    """A folder in a folder; nothing may appear beside it."""
    with tempfile.TemporaryDirectory() as outer:
        root = Path(outer) / "root"
        root.mkdir()
        yield root
        assert sorted(path.name for path in Path(outer).iterdir()) == ["root"]


def fine_or_one_line(action):
    """Whatever it comes to, it is no traceback."""
    try:
        return action()
    except InputError as error:
        assert str(error)
        assert "\n" not in str(error)
        return None


@st.composite
def mutated(draw, content):
    """Some bytes of a good file changed, cut off or put in."""
    data = bytearray(content)
    for _ in range(draw(st.integers(1, 8))):
        place = draw(st.integers(0, max(0, len(data) - 1)))
        kind = draw(st.sampled_from(["change", "cut", "insert"]))
        if kind == "change" and data:
            data[place] = draw(st.integers(0, 255))
        elif kind == "cut":
            del data[place : place + draw(st.integers(1, 2000))]
        else:
            data[place:place] = draw(st.binary(max_size=40))
    return bytes(data)


@MANY
@given(st.sampled_from([*QUICK, "export", "targets", "seed", "device", "private"]), VALUES)
def test_run_files_with_a_section_of_anything(section, value):
    config = fine_or_one_line(lambda: parse_run({**QUICK, section: value}, "run.yaml"))
    if config is not None:
        fine_or_one_line(lambda: check_config(config))


@MANY
@given(mutated(yaml.safe_dump(QUICK).encode()))
def test_run_files_of_broken_text(content):
    with watched() as root:
        (root / "run.yaml").write_bytes(content)
        fine_or_one_line(lambda: read_run_file(root / "run.yaml"))


@pytest.mark.parametrize(
    "content",
    [
        f"!!python/object/apply:os.mkdir [{ESCAPED}]",
        "name: &a [*a]",
        "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]",
        "[" * 5000,
    ],
)
def test_yaml_that_means_harm(tmp_path, content):
    (tmp_path / "run.yaml").write_text(content)
    with pytest.raises(InputError):
        read_run_file(tmp_path / "run.yaml")
    assert not ESCAPED.exists()


@MANY
@given(VALUES | st.fixed_dictionaries({"files": st.dictionaries(NAMES, st.text(max_size=64))}))
def test_manifests_of_anything(document):
    with watched() as root:
        (root / "manifest.json").write_text(json.dumps(document))
        fine_or_one_line(lambda: open_bundle(root))


@MANY
@given(st.dictionaries(NAMES, st.binary(max_size=20), max_size=4), VALUES)
def test_orders_whose_files_lie_anywhere(files, stray):
    """What a device lays out never leaves its folder."""
    with watched() as root:
        store = Store(str(root / "store"))

        def kept(content):
            path = root / "content"
            path.write_bytes(content)
            return store.put(path, "content").sha256

        manifest = {"files": {name: kept(content) for name, content in files.items()}}
        for document in (manifest, {"files": stray}, stray):
            order = kept(json.dumps(document).encode())
            with watched() as device:
                fine_or_one_line(lambda order=order, to=device: lay_out(store, order, to))
            assert not ESCAPED.exists()


@MANY
@given(mutated((EXAMPLE / "teacher.safetensors").read_bytes()))
def test_broken_safetensors(content):
    fine_or_one_line(lambda: parse_weights(content, "teacher.safetensors"))


def saved(value):
    file = io.BytesIO()
    torch.save(value, file)
    return file.getvalue()


@MANY
@given(mutated(saved({"weight": torch.ones(3, 3), "bias": torch.zeros(3)})) | st.binary())
def test_broken_state_dicts(content):
    fine_or_one_line(lambda: parse_weights(content, "teacher.pt"))


@MANY
@given(VALUES)
def test_files_that_hold_something_else(value):
    fine_or_one_line(lambda: parse_weights(saved(value), "teacher.pt"))


@pytest.mark.parametrize("protocol", range(2, 6))
def test_pickles_that_run_code_do_not(tmp_path, protocol):
    class Attack:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "ran"),))

    for value in (Attack(), {"weight": Attack()}, [Attack()]):
        with pytest.raises(InputError):
            parse_weights(pickle.dumps(value, protocol=protocol), "teacher.pt")
    assert not (tmp_path / "ran").exists()


GRAPH = (ROOT / "tests" / "targets" / "modelopt_int8.onnx").read_bytes()


@MANY
@given(mutated(GRAPH[:4000]) | mutated(GRAPH))
def test_broken_graphs(content):
    with watched() as root:
        (root / "graph.onnx").write_bytes(content)
        try:
            told(root / "graph.onnx")
        except ValueError as error:
            assert "\n" not in str(error)


@MANY
@given(mutated(json.dumps({"artifacts": {"a": {"name": "a", "sha256": "0" * 64}}}).encode()))
def test_broken_records_of_steps(content):
    with watched() as root:
        store = Store(str(root / "store"))
        store.record("step", "key", StepRecord({}, {}))
        (root / "store" / "steps" / "step" / "key.json").write_bytes(content)
        fine_or_one_line(lambda: store.recall("step", "key"))


@MANY
@given(NAMES, st.text(max_size=70) | st.none())
def test_artifacts_with_names_of_anything(name, sha256):
    """None stands for an object that is there."""
    with watched() as outer, watched() as root:
        store = Store(str(outer / "store"))
        (outer / "content").write_text("content")
        there = store.put(outer / "content", "content").sha256
        known = there if sha256 is None else sha256
        fine_or_one_line(lambda: store.get(Artifact(name, known, 0), root))
    assert not ESCAPED.exists()


@MANY
@given(mutated(yaml.safe_dump(QUICK).encode()), st.binary(max_size=50))
def test_registry_entries_of_anything(run_file, weights):
    with watched() as root:
        entry = root / "registry" / "net"
        entry.mkdir(parents=True)
        (entry / "run.yaml").write_bytes(run_file)
        (entry / "teacher.safetensors").write_bytes(weights)
        store = Store(str(root / "store"))
        for change in changes(str(root / "registry"), store, 0.0, print):
            assert change.refused
            assert "\n" not in change.refused


def test_a_link_in_a_bundle_leads_nowhere_else(tmp_path):
    (tmp_path / "secret").write_text("secret")
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    (bundle / "golden.npz").symlink_to(tmp_path / "secret")
    files = {"golden.npz": digest("whatever")}
    (bundle / "manifest.json").write_text(json.dumps({"files": files}))
    with pytest.raises(InputError, match="outside the bundle"):
        open_bundle(bundle)
