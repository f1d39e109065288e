"""Reading weights files, loading teachers, and building networks by name."""

import pickle
import sys
import zipfile

import pytest
import torch
from safetensors.torch import save_file

from base.errors import InputError
from dfkd.images import ImageSpec
from dfkd.models import build
from pipeline.config.network_sections import TeacherSection
from pipeline.teachers.fitting import fit_weights
from pipeline.teachers.loading import load_teacher, parse_weights, teacher_fingerprint
from pipeline.teachers.networks import build_network
from pipeline.teachers.weights_file import read_weights

SPEC = ImageSpec((1, 32, 32), (0.1307,), (0.3081,))
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def state():
    torch.manual_seed(0)
    return build("lenet5", SPEC, 10).state_dict()


def section(path, architecture="lenet5", classes=10, width=1.0):
    return TeacherSection(
        weights=str(path), architecture=architecture, classes=classes, width=width
    )


def read_state(path):
    return parse_weights(read_weights(str(path)), str(path))


def refusal(action):
    """Return the one-line message of the InputError that `action` raises."""
    with pytest.raises(InputError) as caught:
        action()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def save(folder, state, file_format):
    path = folder / ("teacher.safetensors" if file_format == "safetensors" else "teacher.pt")
    if file_format == "safetensors":
        save_file(state, path)
    elif file_format == "nested":
        torch.save({"state_dict": state, "epoch": 3}, path)
    elif file_format == "module.":
        torch.save({f"module.{k}": v for k, v in state.items()}, path)
    else:
        torch.save(state, path)
    return path


@pytest.mark.parametrize("file_format", ["safetensors", "plain", "nested", "module."])
def test_same_weights_in_any_format_are_the_same_teacher(tmp_path, state, file_format):
    path = save(tmp_path, state, file_format)
    loaded = read_state(path)
    teacher = load_teacher(section(path), SPEC, loaded, CPU)
    assert not teacher.training
    assert not any(p.requires_grad for p in teacher.parameters())
    torch.testing.assert_close(teacher.state_dict(), state)
    fitted = fit_weights(loaded, teacher.state_dict(), section(path)).state
    assert teacher_fingerprint(section(path), fitted) == teacher_fingerprint(
        section("other_path.pt"), state
    )


def test_fingerprint_depends_on_weights_width_and_architecture(state):
    changed = {**state, "fc.f7.bias": state["fc.f7.bias"] + 1e-6}
    fingerprints = {
        teacher_fingerprint(section("a.pt"), state),
        teacher_fingerprint(section("a.pt"), changed),
        teacher_fingerprint(section("a.pt", width=2.0), state),
        teacher_fingerprint(section("a.pt", architecture="lenet5-half"), state),
    }
    assert len(fingerprints) == 4


class Attack:
    def __reduce__(self):
        return (print, ("code ran",))


def test_pickle_that_runs_code_is_refused_without_running_it(tmp_path, capsys):
    for name, write in (("a.pt", torch.save), ("b.pth", None)):
        path = tmp_path / name
        if write:
            write({"weight": Attack()}, path)
        else:
            path.write_bytes(pickle.dumps(Attack()))
        assert "run code" in refusal(lambda path=path: read_state(path))
    assert "code ran" not in capsys.readouterr().out


@pytest.mark.parametrize("file_format", ["safetensors", "plain"])
@pytest.mark.parametrize("fraction", [0.0, 0.01, 0.5, 0.99])
def test_truncated_weights_are_refused(tmp_path, state, file_format, fraction):
    path = save(tmp_path, state, file_format)
    content = path.read_bytes()
    path.write_bytes(content[: int(fraction * len(content))])
    assert "damaged" in refusal(lambda: read_state(path))


class Large:
    """Creates a large object from a few bytes of pickle, with a type that torch allows."""

    def __reduce__(self):
        return (bytearray, (2**40,))


@pytest.mark.parametrize("archive", [True, False])
def test_pickle_that_allocates_huge_bytearray_is_refused(tmp_path, archive):
    if archive:
        torch.save({"weight": Large()}, tmp_path / "t.pt")
    else:
        (tmp_path / "t.pt").write_bytes(pickle.dumps(Large(), protocol=2))
    assert "creates a bytearray" in refusal(lambda: read_state(tmp_path / "t.pt"))


def test_archive_larger_than_its_file_is_refused_before_unpacking(tmp_path, state):
    torch.save(state, tmp_path / "stored.pt")
    with (
        zipfile.ZipFile(tmp_path / "stored.pt") as stored,
        zipfile.ZipFile(tmp_path / "t.pt", "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for name in stored.namelist():
            is_data = "/data/" in name
            packed.writestr(name, bytes(1_000_000) if is_data else stored.read(name))
    size = (tmp_path / "t.pt").stat().st_size
    assert size < 100_000
    assert f"bytes unpacked, but the file has {size:,}" in refusal(
        lambda: read_state(tmp_path / "t.pt")
    )


@pytest.mark.parametrize("file_format", ["safetensors", "plain"])
def test_weights_file_larger_than_limit_is_refused(tmp_path, state, file_format, monkeypatch):
    path = save(tmp_path, state, file_format)
    monkeypatch.setattr("pipeline.teachers.weights_file.CHUNK_BYTES", 1_000)
    size = path.stat().st_size
    monkeypatch.setattr("pipeline.teachers.weights_file.MAX_FILE_BYTES", size - 1)
    assert "larger than" in refusal(lambda: read_state(path))
    monkeypatch.setattr("pipeline.teachers.weights_file.MAX_FILE_BYTES", size)
    assert read_state(path).keys() == state.keys()


def test_missing_weights_file_is_refused(tmp_path):
    assert "no such file" in refusal(lambda: read_weights(str(tmp_path / "none.pt")))


@pytest.mark.parametrize("url", ["s4://bucket/teacher.pt", "hdfs://x/teacher.pt"])
def test_url_of_unsupported_protocol_is_refused(url):
    assert "cannot be read" in refusal(lambda: read_weights(url))


@pytest.mark.parametrize("content", [[1, 2], {"a": 1}, {}, torch.zeros(3)])
def test_file_without_state_dict_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "t.pt")
    assert "no state dict" in refusal(lambda: read_state(tmp_path / "t.pt"))


def test_weights_of_another_architecture_are_refused(state):
    line = refusal(lambda: load_teacher(section("t.pt", "resnet20"), SPEC, state, CPU))
    assert "not those of resnet20" in line
    assert "missing" in line
    line = refusal(lambda: load_teacher(section("t.pt", classes=7), SPEC, state, CPU))
    assert "of another shape (fc.f7" in line


def test_images_of_wrong_shape_are_refused(state):
    colour = ImageSpec((3, 32, 32), (0.5,) * 3, (0.5,) * 3)
    assert "another shape" in refusal(lambda: load_teacher(section("t.pt"), colour, state, CPU))
    tiny = ImageSpec((1, 30, 30), (0.5,), (0.5,))
    assert "30x30" in refusal(lambda: load_teacher(section("t.pt"), tiny, state, CPU))


def test_teacher_with_nan_logits_is_refused(state):
    broken = {**state, "fc.f7.bias": torch.full((10,), float("nan"))}
    assert "NaN" in refusal(lambda: load_teacher(section("t.pt"), SPEC, broken, CPU))


class TestArchitectures:
    def test_torchvision_name_is_built(self):
        network = build_network("mobilenet_v3_small", 1.0, SPEC, 7)
        assert network.classifier[-1].out_features == 7

    def test_users_factory_is_called(self):
        assert len(build_network("torchvision.models:resnet18", 1.0, SPEC, 5).fc.bias) == 5

    @pytest.mark.parametrize(
        ("architecture", "reason"),
        [
            ("lenet6", "did you mean 'lenet5'"),
            ("nowhere:factory", "nowhere"),
            ("math:tau_", "tau_"),
            ("math:sqrt", "factory() failed"),
            ("collections:OrderedDict", "not an nn.Module"),
        ],
    )
    def test_architecture_that_cannot_be_built_is_refused(self, architecture, reason):
        assert reason in refusal(lambda: build_network(architecture, 1.0, SPEC, 10))

    @pytest.mark.parametrize(
        ("setting", "outcome"),
        [
            (None, "built"),
            ("allowed", "built"),
            ("refused", "imports code, which this machine refuses"),
            *((word, "set it to refused or allowed") for word in ("Refused", "1", "no", "", " ")),
        ],
    )
    def test_factories_are_refused_unless_variable_allows_them(
        self, tmp_path, monkeypatch, setting, outcome
    ):
        """A refused factory is not imported; architectures that need no factory are still built."""
        code = f"from pathlib import Path\nPath({str(tmp_path / 'ran')!r}).touch()\n"
        make = "from torch.nn import Identity\ndef make(num_classes):\n    return Identity()\n"
        (tmp_path / "users_module.py").write_text(code + make)
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, "users_module", raising=False)
        monkeypatch.delenv("DATAFREE_EDGE_FACTORIES", raising=False)
        if setting is not None:
            monkeypatch.setenv("DATAFREE_EDGE_FACTORIES", setting)
        try:
            build_network("users_module:make", 1.0, SPEC, 10)
            found = "built"
        except InputError as error:
            found = str(error)
        assert outcome in found
        assert (tmp_path / "ran").exists() == (outcome == "built")
        assert build_network("lenet5", 1.0, SPEC, 10)

    def test_width_is_refused_for_a_torchvision_network(self):
        assert "registry" in refusal(lambda: build_network("resnet50", 0.5, SPEC, 10))
