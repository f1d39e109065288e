"""Models of torchvision and timm, and factories with arguments."""

import hashlib
import sys

import pytest
import torch
from torch import nn

from base.errors import InputError
from dfkd.images import ImageSpec
from dfkd.models import build
from pipeline.config.network_sections import TeacherSection
from pipeline.teachers.loading import load_teacher, teacher_fingerprint
from pipeline.teachers.networks import build_network
from pipeline.teachers.torchvision_on_cpu import import_torchvision

SPEC = ImageSpec((1, 32, 32), (0.1,), (0.3,))
COLOUR = ImageSpec((3, 32, 32), (0.5,) * 3, (0.5,) * 3)
CPU = torch.device("cpu")


def refusal(action):
    with pytest.raises(InputError) as caught:
        action()
    assert str(caught.value).isprintable()
    return str(caught.value)


def built(architecture, **arguments):
    return build_network(architecture, 1.0, SPEC, 7, arguments=arguments)


def section(architecture, **changes):
    return TeacherSection(weights="t.pt", architecture=architecture, classes=7, **changes)


@pytest.mark.parametrize(
    ("architecture", "arguments"),
    [
        ("timm:test_resnet", {}),
        ("timm:test_resnet.r160_in1k", {}),
        ("timm:test_vit", {"img_size": 32}),
    ],
)
def test_timm_teacher_takes_the_weights_that_timm_saved(architecture, arguments, monkeypatch):
    """A name of timm needs no factory, so a machine that refuses those builds it."""
    import_torchvision()
    import timm

    monkeypatch.setenv("DATAFREE_EDGE_FACTORIES", "refused")
    saved = timm.create_model(architecture[5:], num_classes=7, in_chans=1, **arguments).eval()
    described = section(architecture, factory_arguments=arguments)
    teacher = load_teacher(described, SPEC, saved.state_dict(), CPU)
    images = torch.randn(2, *SPEC.shape)
    assert torch.equal(teacher(images), saved(images))
    assert "not those of" in refusal(
        lambda: load_teacher(section("timm:test_efficientnet"), SPEC, saved.state_dict(), CPU)
    )


@pytest.mark.parametrize(
    ("architecture", "arguments", "why"),
    [
        ("timm:test_resnt", {}, "timm has no model 'test_resnt'; did you mean 'test_resnet'?"),
        ("timm:test_resnet.nothing", {}, "timm has no model 'test_resnet.nothing'; did you mean"),
        # These would read a folder or download.
        ("timm:hf-hub:timm/test_resnet", {}, "timm has no model"),
        ("timm:local-dir:/tmp", {}, "timm has no model"),
        ("timm:", {}, "timm has no model ''; choose one of"),
        ("timm:test_vit", {"depht": 3}, "unexpected keyword argument 'depht'; correct"),
        ("torchvision:resnt18", {}, "torchvision has no model 'resnt18'; did you mean 'resnet18'?"),
        ("torchvision:lenet5", {}, "torchvision has no model 'lenet5'"),
        ("mobilenet_v2", {"widht": 3}, "unexpected keyword argument 'widht'; correct"),
        ("lenet5", {"depth": 3}, "a registry architecture takes no arguments; remove"),
        ("lenet6", {}, "neither in the registry nor in torchvision; did you mean 'lenet5'"),
        ("timm:test_resnet", {"pretrained": True}, "factory_arguments has pretrained"),
        ("timm:test_resnet", {"checkpoint_path": "x"}, "factory_arguments has checkpoint_path"),
        ("collections:OrderedDict", {"depth": 3}, "not an nn.Module"),
    ],
)
def test_network_that_cannot_be_built_is_refused_in_one_line(architecture, arguments, why):
    assert why in refusal(lambda: built(architecture, **arguments))


def test_timm_that_cannot_be_imported_is_refused_in_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    monkeypatch.setattr("pipeline.teachers.networks.check_architecture", lambda *_: None)
    assert "pip install 'datafree-edge[timm]'" in refusal(lambda: built("timm:test_resnet"))


def test_explicit_name_is_torchvisions_network():
    torchvision, registry = built("torchvision:resnet18"), build("resnet18", COLOUR, 7)
    assert (
        torchvision.state_dict().keys() == built("torchvision.models:resnet18").state_dict().keys()
    )
    assert torchvision.state_dict().keys() != registry.state_dict().keys()


def test_arguments_reach_libraries_and_factories(tmp_path, monkeypatch):
    assert built("mobilenet_v2", width_mult=0.5).features[0][0].out_channels == 16
    assert built("torchvision:mobilenet_v2", width_mult=0.5).features[0][0].out_channels == 16
    assert len(built("timm:test_vit", img_size=32, depth=2).blocks) == 2
    make = (
        "from torch import nn\n"
        "def make(num_classes, depth, sizes=(), name=None):\n"
        "    return nn.Sequential(*[nn.Linear(num_classes, *sizes) for _ in range(depth)])\n"
    )
    (tmp_path / "users_factory.py").write_text(make)
    monkeypatch.syspath_prepend(tmp_path)
    assert len(built("users_factory:make", depth=3, sizes=[5], name=None)) == 3
    missing = refusal(lambda: built("users_factory:make"))
    assert "factory(num_classes=7) failed" in missing
    assert "'depth'; correct the architecture, or factory_arguments" in missing


@pytest.mark.parametrize(
    ("parameters", "given"),
    [("", {}), ("num_classes=3", {"num_classes": 7}), ("**rest", {"num_classes": 7})],
)
def test_num_classes_is_passed_only_to_factories_that_take_it(
    tmp_path, monkeypatch, parameters, given
):
    make = (
        "from torch import nn\n"
        f"def make({parameters}):\n"
        "    network = nn.Identity()\n"
        "    network.given = dict(locals().get('rest', locals()))\n"
        "    network.given.pop('network', None)\n"
        "    return network\n"
    )
    (tmp_path / "users_network.py").write_text(make)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "users_network", raising=False)
    assert built("users_network:make").given == given


LAZY = """
import torch
from torch import nn
def lazy():
    return nn.Sequential(nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d(), nn.Flatten(), nn.LazyLinear(7))
def scripted():
    return nn.Sequential(nn.Flatten(), torch.jit.script(nn.Linear(3, 7)))
def whole():
    return torch.jit.script(nn.Linear(3, 7))
"""


@pytest.fixture
def users_forms(tmp_path, monkeypatch):
    (tmp_path / "users_forms.py").write_text(LAZY)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "users_forms", raising=False)


def test_lazy_modules_get_the_shapes_of_the_images(users_forms):
    channels, height, width = SPEC.shape
    network = built("users_forms:lazy")
    assert network[0].weight.shape == (4, channels, 3, 3)
    assert network[3].weight.shape == (7, 4 * (height - 2) * (width - 2))
    assert network.training
    state = {name: value + 1 for name, value in network.state_dict().items()}
    loaded = load_teacher(section("users_forms:lazy"), SPEC, state, CPU)
    assert torch.equal(loaded.state_dict()["3.bias"], state["3.bias"])


@pytest.mark.parametrize(
    ("name", "where"), [("scripted", "its module 1"), ("whole", "the network")]
)
def test_torchscript_in_a_network_is_refused(users_forms, name, where):
    line = refusal(lambda: built(f"users_forms:{name}"))
    assert f"{where} is TorchScript, which cannot be quantized; build" in line


@pytest.mark.parametrize("name", ["resnet18", "resnet34"])
def test_weights_of_torchvisions_network_name_what_to_write(name):
    state = getattr(import_torchvision().models, name)(num_classes=7).state_dict()
    line = refusal(lambda: load_teacher(section(name), COLOUR, state, CPU))
    assert line.endswith(
        f"they are those of torchvision's {name}: write architecture: torchvision:{name}"
    )
    wide = refusal(lambda: load_teacher(section(name, width=0.5), COLOUR, state, CPU))
    assert wide.endswith(f"write architecture: torchvision:{name} and remove teacher.width")
    assert load_teacher(section(f"torchvision:{name}"), COLOUR, state, CPU)
    # Old files lack the counters of batch norms.
    old = {key: value for key, value in state.items() if "num_batches" not in key}
    assert "torchvision:" in refusal(lambda: load_teacher(section(name), COLOUR, old, CPU))


@pytest.mark.parametrize("name", ["resnet18", "resnet20"])
def test_weights_of_neither_network_suggest_no_other_name(name):
    state = {"fc.weight": torch.zeros(7, 3)}
    line = refusal(lambda: load_teacher(section(name), COLOUR, state, CPU))
    assert "torchvision" not in line
    assert line.endswith("correct teacher.architecture, teacher.width or teacher.classes")


def test_fingerprint_without_arguments_is_that_of_older_versions():
    state = {"bias": torch.tensor([1.0, 2.0])}
    content = b"lenet5*1.0:Nonebias:torch.float32:[2];" + state["bias"].numpy().tobytes()
    assert teacher_fingerprint(section("lenet5"), state) == hashlib.sha256(content).hexdigest()


def test_fingerprint_depends_on_arguments_and_output():
    state = nn.Linear(2, 2).state_dict()
    values = [1, 1.0, True, "1", None, [1], ["1"], [1, 1]]
    sections = [
        section("resnet50"),
        *(section("resnet50", factory_arguments={"depth": value}) for value in values),
        section("resnet50", factory_arguments={"width": 1}),
        section("resnet50", output=0),
        section("resnet50", output="0"),
        section("resnet50", output=0, factory_arguments={"depth": 1}),
    ]
    assert len({teacher_fingerprint(one, state) for one in sections}) == len(sections)
    swapped = [{"a": 1, "b": 2}, {"b": 2, "a": 1}]
    same = {
        teacher_fingerprint(section("resnet50", factory_arguments=one), state) for one in swapped
    }
    assert len(same) == 1
