"""The images and the comparison of the search below 8 bits."""

import math

import pytest
import torch
from torch import nn

from benchmarks.quantization.search import SHIFT, compare, shifted
from dfkd.images import ImageSpec

SPEC = ImageSpec((3, 32, 32), (0.5, 0.4, 0.3), (0.2, 0.2, 0.25))


def test_shifted_images_are_parts_of_the_originals_over_black():
    images = 1 + torch.rand(64, 3, 32, 32)
    moved = shifted(images, SPEC, torch.Generator().manual_seed(0))
    black = SPEC.normalise(torch.zeros(1, 3, 1, 1))
    found = set()
    for image, one in zip(images, moved, strict=True):
        inside = (one > 0.9).all(0)
        for flipped in (False, True):
            back = one.flip(2) if flipped else one
            mask = inside.flip(1) if flipped else inside
            rows, columns = mask.any(1).nonzero().flatten(), mask.any(0).nonzero().flatten()
            down = -int(rows[0]) if rows[0] else 31 - int(rows[-1])
            across = -int(columns[0]) if columns[0] else 31 - int(columns[-1])
            expected = image.roll((-down, -across), (1, 2))
            if torch.equal(back[:, mask], expected[:, mask]):
                found.add((down, across, flipped))
                assert torch.equal(one[:, ~inside], black[0].expand_as(one)[:, ~inside])
                break
        else:
            pytest.fail("no shift of its original")
    assert {abs(down) for down, _, _ in found} <= set(range(SHIFT + 1))
    assert {flipped for _, _, flipped in found} == {True, False}


class Constant(nn.Module):
    """Returns the same logits for every image."""

    def __init__(self, logits):
        super().__init__()
        self.logits = torch.tensor(logits)

    def forward(self, images):
        return self.logits.expand(len(images), -1)


def test_compare_returns_accuracies_and_divergence():
    teacher, student = Constant([[math.log(3.0), 0.0]]), Constant([[0.0, 0.0]])
    result = compare("x", teacher, student, torch.zeros(4, 1), torch.tensor([0, 0, 0, 1]))
    expected = 0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.5)
    assert result == {"teacher_x": 75.0, "student_x": 75.0, "KL_x": round(expected, 4)}
