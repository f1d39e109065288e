import math

import pytest
import torch
from torch.autograd import gradcheck

from dfkd.terms.pixels import image_norm, total_variation
from tests.dfkd.terms import draw


def test_total_variation_by_hand():
    image = torch.tensor([[1.0, 4.0], [7.0, 9.0]]).view(1, 1, 2, 2)
    right = math.hypot(1 - 4, 7 - 9)
    down = math.hypot(1 - 7, 4 - 9)
    expected = right + down + abs(1 - 9) + abs(7 - 4)
    assert total_variation(images=image).item() == pytest.approx(expected)


def test_total_variation_norms_are_over_the_whole_batch():
    image = draw(1, 3, 5, 4)
    alone = total_variation(images=image)
    twice = total_variation(images=image.repeat(2, 1, 1, 1))
    torch.testing.assert_close(twice, alone * math.sqrt(2.0))


def test_total_variation_agrees_with_a_loop_over_pixels():
    images = draw(2, 2, 3, 4)
    height, width = images.shape[2:]
    expected = 0.0
    for down, right in ((0, 1), (1, 0), (1, 1), (-1, 1)):
        squares = 0.0
        for row in range(height):
            for column in range(width):
                if 0 <= row + down < height and column + right < width:
                    shifted = images[:, :, row + down, column + right]
                    squares += (images[:, :, row, column] - shifted).square().sum().item()
        expected += math.sqrt(squares)
    assert total_variation(images=images).item() == pytest.approx(expected)


@pytest.mark.parametrize("term", [total_variation, image_norm])
def test_gradient_by_finite_differences(term):
    images = draw(2, 1, 3, 3).requires_grad_()
    assert gradcheck(lambda x: term(images=x), (images,))


@pytest.mark.parametrize("term", [total_variation, image_norm])
def test_constant_images_give_zero_and_a_finite_gradient(term):
    images = torch.zeros(2, 1, 3, 3, requires_grad=True)
    value = term(images=images)
    value.backward()
    assert value.item() == 0.0
    assert images.grad.isfinite().all()


def test_image_norm_is_over_the_whole_batch():
    images = torch.tensor([3.0, 4.0, 12.0]).view(3, 1, 1, 1).requires_grad_()
    value = image_norm(images=images)
    value.backward()
    assert value.item() == pytest.approx(13.0)
    torch.testing.assert_close(images.grad, images.detach() / 13)
