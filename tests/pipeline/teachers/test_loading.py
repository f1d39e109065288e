import pickle
import sys
import zipfile

import pytest
import torch
from safetensors.torch import save_file

from base.errors import InputError
from dfkd.images import ImageSpec
from dfkd.models import build
from pipeline.config.sections import TeacherSection
from pipeline.teachers.loading import fingerprint, load_teacher, parse_weights
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


def opened(path):
    return parse_weights(read_weights(str(path)), str(path))


def refusal(action):
    with pytest.raises(InputError) as caught:
        action()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def save(folder, state, wrapping):
    path = folder / ("teacher.safetensors" if wrapping == "safetensors" else "teacher.pt")
    if wrapping == "safetensors":
        save_file(state, path)
    elif wrapping == "nested":
        torch.save({"state_dict": state, "epoch": 3}, path)
    elif wrapping == "module.":
        torch.save({f"module.{k}": v for k, v in state.items()}, path)
    else:
        torch.save(state, path)
    return path


@pytest.mark.parametrize("wrapping", ["safetensors", "plain", "nested", "module."])
def test_the_same_weights_in_any_wrapping_are_the_same_teacher(tmp_path, state, wrapping):
    path = save(tmp_path, state, wrapping)
    loaded = opened(path)
    teacher = load_teacher(section(path), SPEC, loaded, CPU)
    assert not teacher.training
    assert not any(p.requires_grad for p in teacher.parameters())
    torch.testing.assert_close(teacher.state_dict(), state)
    assert fingerprint(section(path), loaded) == fingerprint(section("elsewhere.pt"), state)


def test_the_fingerprint_tells_weights_and_architectures_apart(state):
    changed = {**state, "fc.f7.bias": state["fc.f7.bias"] + 1e-6}
    prints = {
        fingerprint(section("a.pt"), state),
        fingerprint(section("a.pt"), changed),
        fingerprint(section("a.pt", width=2.0), state),
        fingerprint(section("a.pt", architecture="lenet5-half"), state),
    }
    assert len(prints) == 4


class Attack:
    def __reduce__(self):
        return (print, ("code ran",))


def test_a_pickle_that_wants_to_run_code_is_refused_and_does_not(tmp_path, capsys):
    for name, write in (("a.pt", torch.save), ("b.pth", None)):
        path = tmp_path / name
        if write:
            write({"weight": Attack()}, path)
        else:
            path.write_bytes(pickle.dumps(Attack()))
        assert "run code" in refusal(lambda path=path: opened(path))
    assert "code ran" not in capsys.readouterr().out


@pytest.mark.parametrize("wrapping", ["safetensors", "plain"])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_truncated_weights_are_refused(tmp_path, state, wrapping, share):
    path = save(tmp_path, state, wrapping)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    assert "damaged" in refusal(lambda: opened(path))


class Large:
    """A few bytes of pickle that make a large object of what torch lets pickles make."""

    def __reduce__(self):
        return (bytearray, (2**40,))


@pytest.mark.parametrize("archive", [True, False])
def test_a_pickle_that_claims_all_memory(tmp_path, archive):
    if archive:
        torch.save({"weight": Large()}, tmp_path / "t.pt")
    else:
        (tmp_path / "t.pt").write_bytes(pickle.dumps(Large(), protocol=2))
    assert "asks for a bytearray" in refusal(lambda: opened(tmp_path / "t.pt"))


def test_an_archive_is_measured_before_it_is_unpacked(tmp_path, state):
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
    assert f"bytes unpacked, of {size:,} in the file" in refusal(lambda: opened(tmp_path / "t.pt"))


@pytest.mark.parametrize("wrapping", ["safetensors", "plain"])
def test_a_file_is_read_up_to_a_limit(tmp_path, state, wrapping, monkeypatch):
    path = save(tmp_path, state, wrapping)
    monkeypatch.setattr("pipeline.teachers.weights_file.PART", 1_000)
    size = path.stat().st_size
    monkeypatch.setattr("pipeline.teachers.weights_file.MAX_FILE_BYTES", size - 1)
    assert "larger than" in refusal(lambda: opened(path))
    monkeypatch.setattr("pipeline.teachers.weights_file.MAX_FILE_BYTES", size)
    assert opened(path).keys() == state.keys()


@pytest.mark.parametrize(
    ("name", "says"),
    [("t.onnx", "batch norms folded"), ("t.pt2", "frozen"), ("t.bin", "not a .safetensors")],
)
def test_kinds_of_files_that_are_refused_say_why_and_what_to_do(tmp_path, name, says):
    (tmp_path / name).write_bytes(b"x")
    line = refusal(lambda: read_weights(str(tmp_path / name)))
    assert says in line
    assert "save_file" in line


def test_a_missing_file(tmp_path):
    assert "no such file" in refusal(lambda: read_weights(str(tmp_path / "none.pt")))


@pytest.mark.parametrize("url", ["s4://bucket/teacher.pt", "hdfs://x/teacher.pt"])
def test_a_url_that_nothing_here_can_read(url):
    assert "cannot be read" in refusal(lambda: read_weights(url))


@pytest.mark.parametrize("content", [[1, 2], {"a": 1}, {}, torch.zeros(3)])
def test_what_holds_no_state_dict(tmp_path, content):
    torch.save(content, tmp_path / "t.pt")
    assert "no state dict" in refusal(lambda: opened(tmp_path / "t.pt"))


def test_weights_of_another_architecture(state):
    line = refusal(lambda: load_teacher(section("t.pt", "resnet20"), SPEC, state, CPU))
    assert "not those of resnet20" in line
    assert "missing" in line
    line = refusal(lambda: load_teacher(section("t.pt", classes=7), SPEC, state, CPU))
    assert "of another shape (fc.f7" in line


def test_images_the_architecture_cannot_take(state):
    colour = ImageSpec((3, 32, 32), (0.5,) * 3, (0.5,) * 3)
    assert "another shape" in refusal(lambda: load_teacher(section("t.pt"), colour, state, CPU))
    tiny = ImageSpec((1, 30, 30), (0.5,), (0.5,))
    assert "30x30" in refusal(lambda: load_teacher(section("t.pt"), tiny, state, CPU))


def test_a_teacher_that_answers_nan(state):
    broken = {**state, "fc.f7.bias": torch.full((10,), float("nan"))}
    assert "NaN" in refusal(lambda: load_teacher(section("t.pt"), SPEC, broken, CPU))


class TestArchitectures:
    def test_a_torchvision_name(self):
        network = build_network("mobilenet_v3_small", 1.0, SPEC, 7)
        assert network.classifier[-1].out_features == 7

    def test_a_factory_of_the_users_own(self):
        assert len(build_network("torchvision.models:resnet18", 1.0, SPEC, 5).fc.bias) == 5

    @pytest.mark.parametrize(
        ("architecture", "says"),
        [
            ("lenet6", "did you mean 'lenet5'"),
            ("nowhere:factory", "nowhere"),
            ("math:tau_", "tau_"),
            ("math:sqrt", "num_classes"),
            ("collections:OrderedDict", "no nn.Module"),
        ],
    )
    def test_what_cannot_be_built(self, architecture, says):
        assert says in refusal(lambda: build_network(architecture, 1.0, SPEC, 10))

    @pytest.mark.parametrize(
        ("said", "outcome"),
        [
            (None, "built"),
            ("allowed", "built"),
            ("refused", "imports code, which this worker refuses"),
            *((word, "set it to refused or allowed") for word in ("Refused", "1", "no", "", " ")),
        ],
    )
    def test_the_switch_for_factories_is_closed_by_what_it_does_not_know(
        self, tmp_path, monkeypatch, said, outcome
    ):
        """Closed, it imports nothing, and names that are no factory's are built all the same."""
        code = f"from pathlib import Path\nPath({str(tmp_path / 'ran')!r}).touch()\n"
        make = "from torch.nn import Identity\ndef make(num_classes):\n    return Identity()\n"
        (tmp_path / "of_a_user.py").write_text(code + make)
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, "of_a_user", raising=False)
        monkeypatch.delenv("DATAFREE_EDGE_FACTORIES", raising=False)
        if said is not None:
            monkeypatch.setenv("DATAFREE_EDGE_FACTORIES", said)
        try:
            build_network("of_a_user:make", 1.0, SPEC, 10)
            found = "built"
        except InputError as error:
            found = str(error)
        assert outcome in found
        assert (tmp_path / "ran").exists() == (outcome == "built")
        assert build_network("lenet5", 1.0, SPEC, 10)

    def test_width_goes_with_registry_names(self):
        assert "registry" in refusal(lambda: build_network("resnet50", 0.5, SPEC, 10))
