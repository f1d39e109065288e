import pytest
import torch

from dfkd.images import ImageSpec
from dfkd.models.generators import GENERATORS

SHAPES = [(1, 28, 28), (3, 32, 32), (3, 64, 64), (3, 224, 224), (2, 20, 33)]


@pytest.mark.parametrize("kind", GENERATORS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("classes", [2, 10, 37])
@pytest.mark.parametrize("conditional", [False, True])
def test_draws_images_of_any_shape_inside_the_value_range(kind, shape, classes, conditional):
    spec = ImageSpec(shape, (0.4,) * shape[0], (0.2,) * shape[0], (0.0, 1.0))
    generator = GENERATORS[kind](spec, classes, latent=6, width=4, conditional=conditional)
    labels = torch.arange(3) % classes if conditional else None
    images = generator(5 * torch.randn(3, 6), labels)
    assert images.shape == (3, *shape)
    raw = spec.denormalise(images)
    assert raw.min() >= -1e-6
    assert raw.max() <= 1 + 1e-6
    images.square().sum().backward()
    assert all(p.grad is not None for p in generator.parameters())


def test_labels_go_with_conditional_generators_only():
    spec = ImageSpec((1, 28, 28), (0.5,), (0.5,))
    for conditional, labels in ((True, None), (False, torch.zeros(2, dtype=torch.long))):
        generator = GENERATORS["upsample"](spec, 10, latent=4, width=2, conditional=conditional)
        with pytest.raises(ValueError, match="labels"):
            generator(torch.randn(2, 4), labels)
