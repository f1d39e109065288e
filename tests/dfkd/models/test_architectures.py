import pytest
import torch

from dfkd.images import ImageSpec
from dfkd.models import ARCHITECTURES, build
from dfkd.models.cifar_resnet import OptionABlock

GREY = ImageSpec((1, 32, 32), (0.5,), (0.5,))
COLOUR = ImageSpec((3, 32, 32), (0.5,) * 3, (0.5,) * 3)

# LeNet: methods of DAFL (about 62 K and 16 K); CIFAR ResNets: He et al. 2015, table 6 (0.27, 0.46,
# 0.85 M); ResNet-18/34 at 8x and WRN: about 11 M / 21 M, 0.18 / 0.69 / 0.57 / 2.2 M.
PARAMETERS = {
    "lenet5": 61_706,
    "lenet5-half": 15_738,
    "resnet20": 269_722,
    "resnet32": 464_154,
    "resnet56": 853_018,
    "resnet18": 11_173_962,
    "resnet34": 21_282_122,
    "wrn-16-1": 175_066,
    "wrn-16-2": 691_674,
    "wrn-40-1": 563_930,
    "wrn-40-2": 2_243_546,
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameter_counts_agree_with_the_papers(name):
    network = build(name, GREY if "lenet" in name else COLOUR, 10)
    assert sum(p.numel() for p in network.parameters()) == PARAMETERS[name]


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("width", [0.5, 1.0])
def test_every_architecture_returns_one_logit_for_each_class(name, width):
    spec = GREY if "lenet" in name else COLOUR
    logits = build(name, spec, 7, width).eval()(torch.randn(2, *spec.shape))
    assert logits.shape == (2, 7)


def test_lenet_accepts_28_and_32_pixels_only():
    small = ImageSpec((1, 28, 28), (0.5,), (0.5,))
    assert build("lenet5", small, 10)(torch.randn(2, 1, 28, 28)).shape == (2, 10)
    for shape in ((1, 40, 40), (1, 32, 28)):
        with pytest.raises(ValueError, match=r"(LeNet-5|lenet5) takes"):
            build("lenet5", ImageSpec(shape, (0.5,), (0.5,)), 10)


def test_option_a_shortcut_subsamples_and_pads_with_zeros():
    block = OptionABlock(2, 4, stride=2).eval()
    for convolution in (block.conv1, block.conv2):
        torch.nn.init.zeros_(convolution.weight)
    x = torch.rand(1, 2, 4, 4)
    expected = torch.zeros(1, 4, 2, 2)
    expected[:, 1:3] = x[:, :, ::2, ::2]
    torch.testing.assert_close(block(x), expected)
