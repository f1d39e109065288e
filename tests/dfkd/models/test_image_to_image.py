"""The generator that changes procedural images."""

import pytest
import torch

from dfkd.composition import ImageToImageNetwork
from dfkd.images import ImageSpec
from dfkd.models.image_to_image import MAX_DRAWN_SIDE, ImageToImage

SMALL = ImageToImageNetwork(width=4, blocks=1)
RANGES = [(0.0, 1.0), (0.0, 255.0), (-1.0, 1.0)]


def spec(shape=(3, 32, 32), value_range=(0.0, 1.0)) -> ImageSpec:
    low, high = value_range
    middle, width = (low + high) / 2, (high - low) / 4
    return ImageSpec(shape, (middle,) * shape[0], (width,) * shape[0], value_range)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("value_range", RANGES)
def test_before_training_the_output_is_the_procedural_image(value_range):
    described = spec(value_range=value_range)
    generator = ImageToImage(SMALL, described).eval()

    drawn = generator(generator.draw_latents(8, rng()))

    low, high = value_range
    raw = low + (high - low) * generator.source.draw(8, rng())
    torch.testing.assert_close(described.denormalise(drawn), raw, atol=1e-4 * high, rtol=1e-4)


@pytest.mark.parametrize("value_range", RANGES)
def test_images_are_within_the_value_range_after_any_change(value_range):
    described = spec(value_range=value_range)
    generator = ImageToImage(SMALL, described)
    torch.nn.init.normal_(generator.last.weight, std=5.0)

    raw = described.denormalise(generator(generator.draw_latents(8, rng())))

    low, high = value_range
    slack = 1e-4 * (high - low)
    assert raw.min() >= low - slack
    assert raw.max() <= high + slack


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 17, 23), (4, 33, 64), (3, 224, 130), (1, 1, 1)])
def test_images_have_the_shape_of_the_specification(shape):
    generator = ImageToImage(SMALL, spec(shape))

    assert generator(generator.draw_latents(2, rng())).shape == (2, *shape)
    assert max(generator.drawn) <= MAX_DRAWN_SIDE


def test_gradients_reach_every_parameter_once_the_last_layer_is_not_zero():
    generator = ImageToImage(SMALL, spec())
    torch.nn.init.normal_(generator.last.weight, std=0.1)

    generator(generator.draw_latents(4, rng())).square().sum().backward()

    for name, parameter in generator.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_noise_changes_the_image_and_equal_latents_give_equal_images():
    generator = ImageToImage(SMALL, spec()).eval()
    torch.nn.init.normal_(generator.last.weight, std=0.1)
    latents = generator.draw_latents(2, rng())
    other = latents.clone()
    other[:, 3:] = torch.randn(other[:, 3:].shape, generator=rng(1))

    assert torch.equal(generator(latents), generator(latents))
    assert not torch.equal(generator(latents), generator(other))
