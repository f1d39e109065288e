import pytest
import torch

from dfkd.images import ImageSpec
from dfkd.models.generator_layers import TRUNKS
from dfkd.models.vae import Vae

SHAPES = [(1, 28, 28), (3, 32, 32), (3, 64, 64), (2, 20, 33)]


def vae(shape=(3, 32, 32), **options):
    torch.manual_seed(0)
    spec = ImageSpec(shape, (0.4,) * shape[0], (0.2,) * shape[0])
    return Vae(spec, **{"latent": 6, "width": 8, **options})


@pytest.mark.parametrize("trunk", TRUNKS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_vae_shapes_and_gradients(trunk, shape):
    model, images = vae(shape, trunk=trunk), torch.randn(4, *shape)
    drawn, mean, log_variance = model(images)
    assert drawn.shape == images.shape
    assert mean.shape == log_variance.shape == (4, 6)
    assert all(part.isfinite().all() for part in (drawn, mean, log_variance))
    (drawn - images).abs().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_decoder_draws_from_the_prior():
    drawn = vae().eval().decoder(torch.randn(5, 6))
    assert drawn.shape == (5, 3, 32, 32)
    assert drawn.isfinite().all()


@pytest.mark.parametrize("images", [torch.zeros(2, 3, 32, 32), 1e4 * torch.ones(2, 3, 32, 32)])
def test_vae_of_extreme_images_is_finite(images):
    assert all(part.isfinite().all() for part in vae()(images))


def test_encoder_scales_each_column_to_unit_length():
    model, images = vae().eval(), torch.rand(2, 3, 32, 32) + 0.1
    columns = torch.rand(2, 3, 1, 32) + 0.5
    rows = torch.rand(2, 3, 32, 1) + 0.5
    mean, log_variance = model.encode(images)
    scaled = model.encode(images * columns)
    torch.testing.assert_close(scaled[0], mean)
    torch.testing.assert_close(scaled[1], log_variance)
    assert (model.encode(images * rows)[0] - mean).abs().max() > 1e-3


def test_latent_is_drawn_with_the_encoders_mean_and_deviation():
    model = vae().eval()
    with torch.no_grad():
        for head, value in ((model.mean, 3.0), (model.log_variance, 2 * torch.tensor(0.5).log())):
            head.weight.zero_()
            head.bias.fill_(value)
    seen = []
    model.decoder.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    torch.manual_seed(0)
    model(torch.randn(500, 3, 8, 8))
    assert seen[0].mean().item() == pytest.approx(3.0, abs=0.05)
    assert seen[0].std().item() == pytest.approx(0.5, abs=0.05)


def test_wide_encoder_has_the_published_sizes():
    model = vae(latent=1000, width=128)
    first, second = model.encoder[0], model.encoder[3]
    assert tuple(first.weight.shape) == (64, 3, 3, 3)
    assert tuple(second.weight.shape) == (128, 64, 3, 3)
    assert (model.mean.in_features, model.mean.out_features) == (32 * 8 * 8, 1000)
