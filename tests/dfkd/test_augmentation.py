import pytest
import torch
from torch.nn.functional import pad

from dfkd.augmentation import PADDING, ROLL, augmented, blended

KINDS = ["none", "roll", "crop-flip", "two-views"]


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def numbered(count=2, channels=3, height=12, width=9):
    return torch.arange(1.0, 1 + count * channels * height * width).view(
        count, channels, height, width
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(4, 1, 28, 28), (3, 3, 32, 32), (2, 2, 20, 33)], ids=str)
def test_only_two_views_changes_the_shape(kind, shape):
    count = 2 * shape[0] if kind == "two-views" else shape[0]
    for seed in range(5):
        assert augmented(torch.randn(shape), kind, rng(seed)).shape == (count, *shape[1:])


@pytest.mark.parametrize("kind", KINDS)
def test_equal_random_states_give_equal_images(kind):
    images = numbered()
    for seed in range(5):
        assert torch.equal(augmented(images, kind, rng(seed)), augmented(images, kind, rng(seed)))


@pytest.mark.parametrize("kind", ["roll", "crop-flip", "two-views"])
def test_different_random_states_give_different_images(kind):
    images, source = numbered(), rng()
    seen = {tuple(augmented(images, kind, source).flatten().tolist()) for _ in range(10)}
    assert len(seen) > 5


def test_none_returns_the_images():
    images = numbered()
    assert augmented(images, "none", rng()) is images


def test_roll_keeps_the_pixels_of_each_channel():
    images = numbered()
    for seed in range(10):
        rolled = augmented(images, "roll", rng(seed))
        assert torch.equal(rolled.flatten(2).sort(2).values, images.flatten(2).sort(2).values)


def test_roll_shifts_by_every_amount_up_to_its_limit():
    image = torch.zeros(1, 1, 12, 12)
    image[0, 0, 6, 6] = 1.0
    source = rng()
    shifts = set()
    for _ in range(400):
        row, column = augmented(image, "roll", source)[0, 0].nonzero()[0].tolist()
        shifts.add((row - 6, column - 6))
    possible = range(-ROLL, ROLL + 1)
    assert shifts == {(down, across) for down in possible for across in possible}


def crops(images):
    """Every image that "crop-flip" may give."""
    height, width = images.shape[2:]
    padded = pad(images, (PADDING,) * 4)
    for top in range(2 * PADDING + 1):
        for left in range(2 * PADDING + 1):
            part = padded[:, :, top : top + height, left : left + width]
            yield (top, left, False), part
            yield (top, left, True), part.flip(3)


def test_crop_flip_is_one_shift_and_flip_for_the_whole_batch():
    images, source = numbered(), rng()
    seen = set()
    for _ in range(40):
        result = augmented(images, "crop-flip", source)
        places = [place for place, part in crops(images) if torch.equal(part, result)]
        assert len(places) == 1
        seen.add(places[0])
    assert {top for top, _, _ in seen} == set(range(2 * PADDING + 1))
    assert {flipped for _, _, flipped in seen} == {False, True}


def test_two_views_are_global_views_then_local_ones():
    images = numbered()
    both = augmented(images, "two-views", rng(3))
    assert torch.equal(both[:2], augmented(images, "crop-flip", rng(3)))
    assert not torch.equal(both[:2], both[2:])


def test_local_views_show_a_part_of_the_image():
    ramp = torch.linspace(0, 1, 32).view(1, 1, 1, 32).expand(1, 1, 32, 32)
    source, widths = rng(), []
    for _ in range(60):
        local = augmented(ramp, "two-views", source)[1:]
        assert local.min() >= 0
        assert local.max() <= 1
        widths.append((local.max() - local.min()).item())
    # A crop has at least a quarter of the area, hence half of a side.
    assert 0.43 < min(widths) < 0.6
    assert max(widths) > 0.9


def test_local_views_of_a_tiny_image_are_finite():
    for seed in range(20):
        assert augmented(torch.ones(2, 1, 1, 2), "two-views", rng(seed))[2:].eq(1).all()


@pytest.mark.parametrize("kind", KINDS)
def test_gradient_reaches_every_image(kind):
    images = torch.randn(3, 1, 12, 12, requires_grad=True)
    augmented(images, kind, rng()).square().sum().backward()
    assert (images.grad.flatten(1).norm(dim=1) > 0).all()


def test_first_half_is_blended_and_the_rest_unchanged():
    images = torch.arange(8.0).view(8, 1, 1, 1).expand(8, 2, 3, 3)
    result = blended(images, rng())
    share = torch.rand(4, 1, 1, 1, generator=rng())
    first = torch.tensor([0.0, 1, 2, 3]).view(4, 1, 1, 1)
    torch.testing.assert_close(
        result[:4], (share * first + (1 - share) * (3 - first)).expand_as(result[:4])
    )
    assert torch.equal(result[4:], images[4:])


def test_blends_are_in_range_and_have_gradients():
    images = torch.rand(16, 1, 4, 4, requires_grad=True)
    result = blended(images, rng(1))
    assert images.min() <= result.min() and result.max() <= images.max()
    result.sum().backward()
    assert images.grad.sum().item() == pytest.approx(images.numel(), rel=1e-5)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_batch_too_small_to_blend_is_unchanged(count):
    images = torch.rand(count, 1, 2, 2)
    torch.testing.assert_close(blended(images, rng()), images)
