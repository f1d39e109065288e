"""The catalogue: complete, with sources, and consistent with advertised figures."""

import dataclasses
import json

import pytest

from targets.catalogue.catalogue import (
    CATALOGUE_FILE,
    CatalogueError,
    UnknownTargetError,
    find_target,
    jetsons,
    read_catalogue,
    targets_by_name,
)
from targets.catalogue.target_types import CpuTarget, GpuTarget, JetsonTarget

DOCUMENT = json.loads(CATALOGUE_FILE.read_text())


def as_row(value):
    """Return a target as a row of the catalogue file."""
    row = dataclasses.asdict(value)
    if isinstance(value, JetsonTarget):
        row["architecture"] = value.architecture.name
        row["jetpacks"] = [jetpack.name for jetpack in value.jetpacks]
    return json.loads(json.dumps(row))


ROWS = {
    "architectures": {target.architecture.name: target.architecture for target in jetsons()},
    "jetpacks": {jetpack.name: jetpack for target in jetsons() for jetpack in target.jetpacks},
    **{kind: targets_by_name() for kind in ("cpus", "gpus", "jetsons")},
}
"""The parsed rows of each section, by name."""


@pytest.mark.parametrize("kind", ROWS)
def test_read_catalogue_keeps_every_field_of_every_row(kind):
    for row in DOCUMENT[kind]:
        parsed = as_row(ROWS[kind][row["name"]])
        assert {name: parsed[name] for name in row} == row
        assert not any(parsed[name] for name in parsed.keys() - row.keys())


@pytest.mark.parametrize("kind", ROWS)
def test_every_row_has_a_source(kind):
    assert DOCUMENT.keys() == {"about", *ROWS}
    assert all(len(row["source"].split()) > 3 for row in DOCUMENT[kind])


def test_catalogue_contains_every_jetson_family_and_local_targets():
    names = {target.name for target in jetsons()}
    for family, sizes in {
        "nano": [""],
        "tx2": [""],
        "xavier-nx": ["-8", "-16"],
        "agx-xavier": ["-32", "-64"],
        "orin-nano": ["-4", "-8", "-super"],
        "orin-nx": ["-8", "-16"],
        "agx-orin": ["-32", "-64"],
        "thor": ["-t4000", "-t5000"],
    }.items():
        assert {family + size for size in sizes} <= names
    assert isinstance(find_target("local-cpu"), CpuTarget)
    assert isinstance(find_target("local-gpu"), GpuTarget)


@pytest.mark.parametrize("name", ["orin-nano", "orin-nx", "agx-orin", "thor", "xavier-nx"])
def test_find_target_accepts_family_names(name):
    assert find_target(name).name.startswith(name)


def test_find_target_suggests_a_similar_name():
    with pytest.raises(UnknownTargetError, match=r"unknown target 'orinnano'.*'orin-nano'"):
        find_target("orinnano")


def test_find_target_points_to_the_dla_core_option():
    with pytest.raises(UnknownTargetError, match="orin-nx and --dla-core 1"):
        find_target("orin-nx-dla1")


@pytest.mark.parametrize(
    ("name", "precision", "advertised"),
    [
        ("nano", "fp16", 0.472),
        ("tx2", "fp16", 1.33),
        ("agx-xavier-32", "fp16", 11),
        ("agx-xavier-32", "int8", 22),
        ("orin-nano-4", "int8", 20 / 2),
        ("orin-nano-8", "int8", 40 / 2),
        ("orin-nano-4-super", "int8", 34 / 2),
        ("orin-nano-super", "int8", 67 / 2),
        ("orin-nx-16", "int8", 60 / 2),
        ("orin-nx-16-super", "int8", 77 / 2),
        ("agx-orin-64", "int8", 170 / 2),
        ("agx-orin-32", "int8", 108 / 2),
        ("thor-t5000", "int8", 2070 / 4),
        ("thor-t4000", "int8", 1200 / 4),
    ],
)
def test_fastest_mode_has_the_advertised_peak(name, precision, advertised):
    """Advertised figures are sparse for Orin (half is dense), sparse FP4 for Thor (a quarter)."""
    target = find_target(name)
    assert target.peak_tops(precision, target.modes[0]) == pytest.approx(advertised, rel=0.03)


@pytest.mark.parametrize(
    ("name", "advertised"),
    [("nano", 25.6), ("tx2", 59.7), ("orin-nano", 68), ("orin-nano-super", 102), ("thor", 273)],
)
def test_fastest_mode_has_the_advertised_bandwidth(name, advertised):
    target = find_target(name)
    assert target.bandwidth_gb_s(target.modes[0]) == pytest.approx(advertised, rel=0.01)


def test_first_mode_has_the_highest_peak():
    for target in jetsons():
        peaks = [target.peak_tops("fp16", mode) for mode in target.modes]
        assert max(peaks) == peaks[0]


@pytest.mark.parametrize(
    ("architecture", "names", "int8_units"),
    [
        ("Maxwell", ["nano"], "none: engines are FP16"),
        ("Pascal", ["tx2"], "none: engines are FP16"),
        ("Volta", ["xavier-nx-8", "agx-xavier-64"], "tensor cores, and DP4A"),
        ("Ampere", ["orin-nano-8", "agx-orin-64"], "tensor cores"),
        ("Blackwell", ["thor-t4000", "thor-t5000"], "tensor cores"),
    ],
)
def test_int8_units_of_each_architecture(architecture, names, int8_units):
    for target in map(find_target, names):
        assert target.architecture.name == architecture
        assert target.architecture.int8_units == int8_units
        assert target.has_int8 == (not int8_units.startswith("none"))


def test_part_number_and_firmware_identify_every_module():
    parts = [(part, target.super_firmware) for target in jetsons() for part in target.part_numbers]
    assert all(target.part_numbers for target in jetsons())
    assert len(parts) == len(set(parts))


def test_only_agx_orin_and_thor_have_tensorrt_11():
    for target in jetsons():
        has_tensorrt_11 = target.jetpacks[-1].tensorrt.startswith("11.")
        assert has_tensorrt_11 == target.name.startswith(("agx-orin-", "thor-")), target.name


def changed(tmp_path, change):
    document = json.loads(CATALOGUE_FILE.read_text())
    change(document)
    path = tmp_path / "table.json"
    path.write_text(json.dumps(document))
    return path


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda d: d["jetsons"][0].pop("part_numbers"), "nano: missing field: part_numbers"),
        (lambda d: d["jetsons"][0].update(watts=5), "nano: unknown field: watts"),
        (
            lambda d: d["jetsons"][0].update(unverified=["speed"]),
            "nano: unknown field marked as unverified: speed",
        ),
        (lambda d: d["jetsons"][0].update(architecture="Kepler"), "nano: 'Kepler'"),
        (lambda d: d["jetsons"][0].update(jetpacks=["9"]), "nano: '9'"),
        (lambda d: d["jetsons"][0].update(modes=[]), "nano: needs a power mode and a JetPack"),
        (lambda d: d["jetsons"][0].update(source=""), "nano: needs a source"),
        (lambda d: d["jetpacks"][0].update(source=""), "4.6: needs a source"),
        (lambda d: d["cpus"][1].update(source=""), "x86-avx2: needs a source"),
        (lambda d: d["cpus"][1].pop("source"), "x86-avx2: missing field: source"),
        (lambda d: d["gpus"][0].pop("source"), "local-gpu: missing field: source"),
        (lambda d: d["jetsons"][1].update(aliases=["nano"]), "nano: duplicate name"),
    ],
)
def test_read_catalogue_names_the_wrong_row_and_field(tmp_path, change, complaint):
    with pytest.raises(CatalogueError, match=complaint):
        read_catalogue(changed(tmp_path, change))


def test_read_catalogue_accepts_an_unchanged_copy(tmp_path):
    assert read_catalogue(changed(tmp_path, lambda document: None)) == targets_by_name()
