from dataclasses import replace

import pytest
import torch
from torch import nn

from dfkd.composition import GeneratorNetwork
from dfkd.images import ImageSpec
from dfkd.models.generator_layers import HEADS, TRUNKS
from dfkd.models.generators import Generator
from dfkd.models.noisy_layer_generator import NoisyLayerGenerator

SHAPES = [(1, 28, 28), (3, 32, 32), (3, 64, 64), (3, 224, 224), (2, 20, 33), (1, 5, 7)]
COLOUR = ImageSpec((3, 16, 16), (0.4, 0.5, 0.6), (0.2, 0.3, 0.1))
SMALL = GeneratorNetwork(trunk="upsample", latent=6, width=4)


def spec_of(shape):
    return ImageSpec(shape, (0.4,) * shape[0], (0.2,) * shape[0], (0.0, 1.0))


def made(spec=COLOUR, classes=10, conditioning=None, **options):
    torch.manual_seed(0)
    return Generator(replace(SMALL, **options), spec, classes, conditioning)


def latents(count=3, size=6, seed=0):
    return torch.randn(count, size, generator=torch.Generator().manual_seed(seed))


def convolutions(network):
    return [m for m in network.modules() if isinstance(m, nn.Conv2d)]


def assert_draws_images_in_range(trunk, shape, classes, conditioning):
    spec = spec_of(shape)
    generator = made(spec, classes, conditioning, trunk=trunk)
    labels = torch.arange(3) % classes if conditioning else None
    images = generator(5 * latents(), labels)
    assert images.shape == (3, *shape)
    raw = spec.denormalise(images)
    assert raw.min() >= -1e-6
    assert raw.max() <= 1 + 1e-6
    images.square().sum().backward()
    assert all(p.grad is not None for p in generator.parameters())


@pytest.mark.parametrize("trunk", TRUNKS)
@pytest.mark.parametrize("shape", [shape for shape in SHAPES if max(shape) < 64], ids=str)
@pytest.mark.parametrize(("classes", "conditioning"), [(10, "product"), (2, None)])
def test_small_images_are_drawn_inside_the_value_range(trunk, shape, classes, conditioning):
    assert_draws_images_in_range(trunk, shape, classes, conditioning)


@pytest.mark.slow
@pytest.mark.parametrize("trunk", TRUNKS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("classes", [2, 10, 37])
@pytest.mark.parametrize("conditioning", [None, "product"])
def test_images_of_any_shape_are_drawn_inside_the_value_range(trunk, shape, classes, conditioning):
    assert_draws_images_in_range(trunk, shape, classes, conditioning)


@pytest.mark.parametrize("trunk", TRUNKS)
@pytest.mark.parametrize(("shape", "drawn"), [((3, 64, 48), (32, 24)), ((1, 33, 20), (17, 10))])
def test_reduced_images_are_enlarged_bilinearly(trunk, shape, drawn):
    spec = spec_of(shape)
    generator = made(spec, trunk=trunk, reduction=2)
    head = []
    generator.head.register_forward_hook(lambda _, __, images: head.append(images))
    images = generator(latents())
    assert generator.drawn == drawn
    assert head[0].shape == (3, shape[0], *drawn)
    assert images.shape == (3, *shape)
    expected = nn.Upsample(shape[1:], mode="bilinear")(head[0])
    torch.testing.assert_close(images, expected, atol=0, rtol=0)
    assert spec.denormalise(images).aminmax()[0] >= -1e-6
    images.square().sum().backward()
    assert all(p.grad.abs().sum() > 0 for p in generator.project.parameters())


def test_labels_are_required_for_conditional_generators_only():
    for conditioning, labels in (("product", None), (None, torch.zeros(3, dtype=torch.long))):
        with pytest.raises(ValueError, match="labels"):
            made(conditioning=conditioning)(latents(), labels)


@pytest.mark.parametrize("conditioning", ["product", "sum"])
def test_class_embedding_is_multiplied_or_added(conditioning):
    conditional = made(conditioning=conditioning).eval()
    plain = made().eval()
    plain.load_state_dict(
        {name: value for name, value in conditional.state_dict().items() if "embedding" not in name}
    )
    labels = torch.tensor([3, 0, 3])
    embedded = conditional.embedding.weight[labels]
    inputs = latents() * embedded if conditioning == "product" else latents() + embedded
    torch.testing.assert_close(conditional(latents(), labels), plain(inputs))


@pytest.mark.parametrize("trunk", TRUNKS)
@pytest.mark.parametrize("value_range", [(0.0, 1.0), (-1.0, 2.0)])
@pytest.mark.parametrize("head", ["clamp", "sigmoid"])
def test_clamp_and_sigmoid_heads_stay_in_the_value_range(trunk, value_range, head):
    spec = replace(COLOUR, value_range=value_range)
    generator = made(spec, trunk=trunk, head=head)
    low, high = value_range
    raw = spec.denormalise(generator(100 * latents(8)))
    assert raw.min() >= low - 1e-5
    assert raw.max() <= high + 1e-5
    # Extreme inputs reach both ends of the range; an untrained norm is neutral.
    generator = made(spec, trunk=trunk, head=head).eval()
    extremes = torch.linspace(-1e3, 1e3, 12).view(4, 3, 1, 1)
    raw = spec.denormalise(generator.head(extremes))
    assert raw.min().item() == pytest.approx(low, abs=1e-5)
    assert raw.max().item() == pytest.approx(high, abs=1e-5)


def test_sigmoid_head_normalizes_once():
    generator = made(head="sigmoid")
    drawn = torch.zeros(1, 3, 1, 1)
    expected = COLOUR.normalise(torch.full((1, 3, 1, 1), 0.5))
    torch.testing.assert_close(generator.head(drawn), expected)
    assert not list(generator.head.parameters())


@pytest.mark.parametrize("trunk", TRUNKS)
def test_tanh_head_has_mean_and_spread_of_normalized_images(trunk):
    generator = made(trunk=trunk, head="tanh")
    images = generator(latents(64))
    torch.testing.assert_close(images.mean((0, 2, 3)), torch.zeros(3), atol=1e-4, rtol=0.0)
    torch.testing.assert_close(images.std((0, 2, 3)), torch.ones(3), atol=0.02, rtol=0.0)
    assert not list(generator.head.parameters())


def test_tanh_head_applies_tanh_before_batch_norm():
    head = HEADS["tanh"](spec_of((1, 2, 2)))
    drawn = torch.tensor([1e3, -5e2, 0.0, 0.0]).view(1, 1, 2, 2)
    scaled = head(drawn).flatten()
    # After tanh the values are 1, -1, 0, 0, with mean 0 and deviation 0.7071.
    torch.testing.assert_close(
        scaled, torch.tensor([1.0, -1.0, 0.0, 0.0]) * 2**0.5, atol=1e-4, rtol=0
    )


def test_free_head_has_affine_parameters_and_no_bound():
    generator = made(head="free")
    assert len(list(generator.head.parameters())) == 2
    with torch.no_grad():
        generator.head[0].weight.fill_(50.0)
        generator.head[0].bias.fill_(7.0)
    images = generator(latents(64))
    torch.testing.assert_close(images.mean((0, 2, 3)), torch.full((3,), 7.0), atol=1e-2, rtol=0.0)
    torch.testing.assert_close(images.std((0, 2, 3)), torch.full((3,), 50.0), atol=1.0, rtol=0.0)


@pytest.mark.parametrize("trunk", TRUNKS)
def test_norm_eps_applies_to_the_hidden_norms_of_the_trunk(trunk):
    generator = made(trunk=trunk, norm_eps=0.8)
    norms = [m for m in generator.trunk.modules() if isinstance(m, nn.BatchNorm2d)]
    assert norms
    assert {m.eps for m in norms} == {0.8}
    assert generator.normalise.eps == 1e-5


def test_upsample_trunk_has_dafls_layout():
    generator = made(ImageSpec((3, 32, 32), (0.5,) * 3, (0.5,) * 3), latent=1000, width=128)
    assert (generator.project.in_features, generator.project.out_features) == (1000, 128 * 8 * 8)
    shapes = [tuple(m.weight.shape) for m in convolutions(generator)]
    assert shapes == [(128, 128, 3, 3), (64, 128, 3, 3), (3, 64, 3, 3)]


@pytest.mark.parametrize("trunk", TRUNKS)
def test_spectral_norm_bounds_only_the_convolutions(trunk):
    generator = made(trunk=trunk, spectral=True)
    for layer in convolutions(generator):
        assert layer.parametrizations.weight.original.abs().max() <= 0.08
        assert (layer.bias == 0).all()
    for _ in range(50):
        generator(latents())
    layers = convolutions(generator)
    assert len(layers) == len(convolutions(made(trunk=trunk)))
    for layer in layers:
        largest = torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item()
        assert largest == pytest.approx(1.0, abs=0.02)
    assert not hasattr(generator.project, "parametrizations")
    assert not any(hasattr(m, "parametrizations") for m in made(trunk=trunk).modules())


def test_spectral_generator_has_gradients():
    generator = made(spectral=True)
    generator(latents()).square().sum().backward()
    assert all(p.grad.isfinite().all() for p in generator.parameters())
    assert all(
        layer.parametrizations.weight.original.grad.abs().sum() > 0
        for layer in convolutions(generator)
    )


def noisy(groups=2, **options):
    torch.manual_seed(0)
    return NoisyLayerGenerator(replace(SMALL, **options), COLOUR, torch.randn(5, 7), groups=groups)


def test_noisy_layer_draws_each_label():
    generator = noisy(groups=4)
    for count in (2, 3, 5, 8, 9):
        images = generator(torch.arange(count) % 5)
        assert images.shape == (count, *COLOUR.shape)


def test_noisy_layer_starts_standard_normal():
    torch.manual_seed(0)
    generator = NoisyLayerGenerator(replace(SMALL, latent=64), COLOUR, torch.randn(5, 128), 4)
    for layer in generator.noisy:
        assert abs(layer.weight.mean()) < 0.05
        assert abs(layer.weight.std() - 1) < 0.05


def test_each_group_of_images_has_its_own_noisy_layer():
    generator = noisy(groups=2).eval()
    images = generator(torch.tensor([1, 1, 1, 1]))
    torch.testing.assert_close(images[0], images[1])
    torch.testing.assert_close(images[2], images[3])
    assert (images[0] - images[2]).abs().max() > 0.1


def test_embeddings_are_buffers_without_gradient():
    generator = noisy()
    assert "embeddings" in generator.state_dict()
    assert "embeddings" not in dict(generator.named_parameters())
    assert not generator.embeddings.requires_grad


@pytest.mark.parametrize("head", ["clamp", "sigmoid"])
def test_noisy_layer_generator_has_the_described_head_and_eps(head):
    generator = noisy(head=head, norm_eps=0.8)
    raw = COLOUR.denormalise(generator(torch.arange(5)))
    assert raw.min() >= -1e-5
    assert raw.max() <= 1 + 1e-5
    assert type(generator.trunk.head) is type(HEADS[head](COLOUR))
    assert generator.trunk.trunk[1][1].eps == 0.8


def test_noisy_layer_generator_has_the_described_spectral_norm():
    layers = convolutions(noisy(spectral=True))
    assert all(hasattr(layer, "parametrizations") for layer in layers)
