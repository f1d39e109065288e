"""Hostile or broken input files are accepted or raise an InputError of one line.

They cause no traceback, no file outside the root, and run no code.
"""

import io
import json
import os
import pickle

import numpy as np
import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper

from base.errors import InputError
from dfkd.images import ImageSpec
from pipeline.bundle.opening import open_bundle
from pipeline.bundle.unpacking import unpack
from pipeline.config.network_sections import TeacherSection
from pipeline.config.run_file import parse_run, read_run_file
from pipeline.store.step_record import digest
from pipeline.store.store import Store
from pipeline.teachers.config_checks import check_config
from pipeline.teachers.graphs import describe_graph, load_graph
from pipeline.teachers.loading import parse_weights
from pipeline.teachers.registry import find_changes
from targets.lint.linter import lint_report
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
from tests.support.quick_run import EXAMPLE, QUICK, ROOT
from tests.support.teacher_graphs import graph

pytestmark = FUZZ_TIMEOUT


@FUZZ
@given(st.sampled_from([*QUICK, "export", "targets", "seed", "device", "private"]), VALUES)
def test_any_section_values_are_handled(section, value):
    config = succeeds_or_raises_one_line(lambda: parse_run({**QUICK, section: value}, "run.yaml"))
    if config is not None:
        succeeds_or_raises_one_line(lambda: check_config(config))


@FUZZ
@given(mutated(yaml.safe_dump(QUICK).encode()))
def test_broken_run_files_are_handled(content):
    with sandbox() as root:
        (root / "run.yaml").write_bytes(content)
        succeeds_or_raises_one_line(lambda: read_run_file(root / "run.yaml"))


@pytest.mark.parametrize(
    "content",
    [
        f"!!python/object/apply:os.mkdir [{ESCAPED}]",
        "name: &a [*a]",
        "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]",
        "[" * 5000,
        f"seed: {'9' * 5000}",
        "name: 2001-99-99",
        "name: !!timestamp x",
        "name: !!int ''",
    ],
)
def test_hostile_yaml_is_an_input_error(tmp_path, content):
    (tmp_path / "run.yaml").write_text(content)
    with pytest.raises(InputError):
        read_run_file(tmp_path / "run.yaml")
    assert not ESCAPED.exists()


@FUZZ
@given(VALUES | st.fixed_dictionaries({"files": st.dictionaries(NAMES, st.text(max_size=64))}))
def test_any_manifests_are_handled(document):
    with sandbox() as root:
        (root / "manifest.json").write_text(json.dumps(document))
        succeeds_or_raises_one_line(lambda: open_bundle(root))


@FUZZ
@given(st.dictionaries(NAMES, st.binary(max_size=20), max_size=4), VALUES)
def test_unpacking_an_order_stays_inside_its_folder(files, stray):
    with sandbox() as root:
        store = Store(str(root / "store"))

        def put(content):
            path = root / "content"
            path.write_bytes(content)
            return store.put(path, "content").sha256

        manifest = {"files": {name: put(content) for name, content in files.items()}}
        for document in (manifest, {"files": stray}, stray):
            order = put(json.dumps(document).encode())
            with sandbox() as device:
                succeeds_or_raises_one_line(lambda order=order, to=device: unpack(store, order, to))
            assert not ESCAPED.exists()


@FUZZ
@given(mutated((EXAMPLE / "teacher.safetensors").read_bytes()))
def test_broken_safetensors_are_handled(content):
    succeeds_or_raises_one_line(lambda: parse_weights(content, "teacher.safetensors"))


def saved(value):
    file = io.BytesIO()
    torch.save(value, file)
    return file.getvalue()


@FUZZ
@given(mutated(saved({"weight": torch.ones(3, 3), "bias": torch.zeros(3)})) | st.binary())
def test_broken_state_dicts_are_handled(content):
    succeeds_or_raises_one_line(lambda: parse_weights(content, "teacher.pt"))


@FUZZ
@given(VALUES)
def test_torch_files_without_a_state_dict_are_handled(value):
    succeeds_or_raises_one_line(lambda: parse_weights(saved(value), "teacher.pt"))


@pytest.mark.parametrize("protocol", range(2, 6))
def test_pickled_code_is_not_run(tmp_path, protocol):
    class Attack:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "ran"),))

    for value in (Attack(), {"weight": Attack()}, [Attack()]):
        with pytest.raises(InputError):
            parse_weights(pickle.dumps(value, protocol=protocol), "teacher.pt")
    assert not (tmp_path / "ran").exists()


GRAPH = (ROOT / "tests" / "targets" / "lint" / "modelopt_int8.onnx").read_bytes()


@FUZZ
@given(mutated(GRAPH[:4000]) | mutated(GRAPH))
def test_broken_graphs_are_handled(content):
    with sandbox() as root:
        (root / "graph.onnx").write_bytes(content)
        try:
            lint_report(root / "graph.onnx")
        except ValueError as error:
            assert "\n" not in str(error)


def classifier():
    """Return the bytes of an ONNX graph, most of which are its structure."""
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("Shape", ["c"], ["s"]),
        helper.make_node("Gather", ["s", "first"], ["n"]),
        helper.make_node("Concat", ["n", "rest"], ["flat"], axis=0),
        helper.make_node("GlobalAveragePool", ["c"], ["p"]),
        helper.make_node("Reshape", ["p", "flat"], ["l"]),
        helper.make_node("Softmax", ["l"], ["y"]),
    ]
    weights = np.linspace(-1, 1, 18, dtype=np.float32).reshape(2, 1, 3, 3)
    constants = [("w", weights), ("first", np.array([0])), ("rest", np.array([2]))]
    return graph(nodes, (1, 4, 4), constants).SerializeToString()


def load_as_teacher(content):
    describe_graph(content, "teacher.onnx")
    section = TeacherSection(weights="teacher.onnx", classes=2)
    return load_graph(content, section, ImageSpec((1, 4, 4), (0.0,), (1.0,)))


@FUZZ
@given(mutated(classifier()))
def test_broken_graphs_of_teachers_are_handled(content):
    succeeds_or_raises_one_line(lambda: load_as_teacher(content))


def test_graph_that_is_not_broken_is_loaded():
    assert load_as_teacher(classifier()).network is not None


@FUZZ
@given(mutated(yaml.safe_dump(QUICK).encode()), st.binary(max_size=50))
def test_broken_registry_entries_are_refused_in_one_line(run_file, weights):
    with sandbox() as root:
        entry = root / "registry" / "net"
        entry.mkdir(parents=True)
        (entry / "run.yaml").write_bytes(run_file)
        (entry / "teacher.safetensors").write_bytes(weights)
        store = Store(str(root / "store"))
        for change in find_changes(str(root / "registry"), store, 0.0, print):
            assert change.refused
            assert "\n" not in change.refused


def test_link_out_of_a_bundle_is_an_input_error(tmp_path):
    (tmp_path / "secret").write_text("secret")
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    (bundle / "golden.npz").symlink_to(tmp_path / "secret")
    files = {"golden.npz": digest("whatever")}
    (bundle / "manifest.json").write_text(json.dumps({"files": files}))
    with pytest.raises(InputError, match="outside the bundle"):
        open_bundle(bundle)
