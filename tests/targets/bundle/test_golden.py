"""golden.npz: round trip and refusal of damaged files."""

import io
import zipfile

import numpy as np
import pytest

from targets.bundle import golden as golden_module
from targets.bundle.bundle_files import BundleError
from targets.bundle.golden import Golden, load_golden
from tests.targets.bundle.test_verdict import golden


def test_golden_round_trip_is_exact_and_deterministic(tmp_path):
    for name in ("a.npz", "b.npz"):
        golden().save(tmp_path / name)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    loaded = load_golden(tmp_path / "a.npz")
    np.testing.assert_array_equal(loaded.teacher_logits, golden().teacher_logits)
    # Pixel 0 is raw 0: (0 - 0.5) / 0.25.
    assert loaded.images.dtype == np.float32
    assert (loaded.images[loaded.pixels == 0] == -2).all()
    assert loaded.images.min() == -2


@pytest.mark.parametrize("name", Golden.__dataclass_fields__)
@pytest.mark.parametrize(
    "array",
    [np.zeros((2, 2), np.complex64), np.zeros(0, np.float32), np.array([{}]), np.array(3)],
    ids=["of another type", "empty", "of objects", "a number"],
)
def test_load_golden_names_an_array_of_wrong_type_or_shape(tmp_path, name, array):
    np.savez(tmp_path / "golden.npz", **{**vars(golden()), name: array})
    with pytest.raises(BundleError, match=rf"not a golden\.npz \(({name} is|Object arrays)"):
        load_golden(tmp_path / "golden.npz")


@pytest.mark.parametrize("name", ["mean", "generator", "asked", "value_range"])
def test_load_golden_names_an_array_of_wrong_length(tmp_path, name):
    double = np.concatenate([vars(golden())[name]] * 2)
    np.savez(tmp_path / "golden.npz", **{**vars(golden()), name: double})
    with pytest.raises(BundleError, match=f"{name} is"):
        load_golden(tmp_path / "golden.npz")


def test_load_golden_names_a_missing_array(tmp_path):
    arrays = {name: array for name, array in vars(golden()).items() if name != "asked"}
    np.savez(tmp_path / "golden.npz", **arrays)
    with pytest.raises(BundleError, match="asked"):
        load_golden(tmp_path / "golden.npz")


def test_load_golden_refuses_other_files_and_missing_ones(tmp_path):
    (tmp_path / "golden.npz").write_text("rubbish")
    with pytest.raises(BundleError, match=r"not a golden\.npz"):
        load_golden(tmp_path / "golden.npz")
    with pytest.raises(FileNotFoundError):
        load_golden(tmp_path / "none.npz")


def test_load_golden_checks_the_size_before_unpacking(tmp_path, monkeypatch):
    """Unused arrays count, too."""
    monkeypatch.setattr(golden_module, "MAX_FILE_BYTES", 1_000_000)
    other = np.zeros(2_000_000, np.uint8)
    np.savez_compressed(tmp_path / "golden.npz", **vars(golden()), other=other)
    assert (tmp_path / "golden.npz").stat().st_size < 200_000
    with pytest.raises(BundleError, match="more than 1,000,000"):
        load_golden(tmp_path / "golden.npz")


@pytest.mark.parametrize("count", [2**33, 2**50, 2**70])
def test_load_golden_refuses_an_array_with_a_false_size(tmp_path, count):
    header = io.BytesIO()
    claim = {"descr": "|u1", "fortran_order": False, "shape": (count,)}
    np.lib.format.write_array_header_1_0(header, claim)
    with zipfile.ZipFile(tmp_path / "golden.npz", "w") as archive:
        archive.writestr("pixels.npy", header.getvalue())
    with pytest.raises(BundleError, match=r"not a golden\.npz"):
        load_golden(tmp_path / "golden.npz")
