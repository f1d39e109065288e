"""What was tried before a setting was chosen: kept whole, and scored on training images."""

import json
import math

import pytest
import torch
from torch import nn

from benchmarks import search_table
from benchmarks.mnist import held_out_search
from benchmarks.quantization import search as quantization_search
from benchmarks.quantization.search import SHIFT, compared, shifted
from dfkd.images import ImageSpec

SPEC = ImageSpec((3, 32, 32), (0.5, 0.4, 0.3), (0.2, 0.2, 0.25))


@pytest.mark.parametrize(
    ("name", "module"),
    [("held_out_search", held_out_search), ("quantization_search", quantization_search)],
)
def test_the_rows_make_the_page_that_is_there(name, module):
    rows = json.loads((search_table.RESULTS / f"{name}.json").read_text())
    page = search_table.render(module.HEADING, module.COLUMNS, rows)
    assert (search_table.RESULTS / f"{name}.md").read_text() == page


def test_a_trial_is_added_to_those_before(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(search_table, "RESULTS", tmp_path)
    for number in (1, 2):
        search_table.keep("tried", "# Tried", ("a", "b"), {"a": number, "b": "x", "machine": "y"})
    assert [row["a"] for row in json.loads((tmp_path / "tried.json").read_text())] == [1, 2]
    table = "| a | b |\n| --- | --- |\n| 1 | x |\n| 2 | x |\n"
    assert (tmp_path / "tried.md").read_text() == f"# Tried\n\n{table}"
    assert '"a": 2' in capsys.readouterr().out


def test_shifted_images_are_parts_of_the_images_over_black():
    images = 1 + torch.rand(64, 3, 32, 32)
    moved = shifted(images, SPEC, torch.Generator().manual_seed(0))
    black = SPEC.normalise(torch.zeros(1, 3, 1, 1))
    places = set()
    for image, one in zip(images, moved, strict=True):
        inside = (one > 0.9).all(0)
        for flipped in (False, True):
            back = one.flip(2) if flipped else one
            mask = inside.flip(1) if flipped else inside
            rows, columns = mask.any(1).nonzero().flatten(), mask.any(0).nonzero().flatten()
            down = -int(rows[0]) if rows[0] else 31 - int(rows[-1])
            across = -int(columns[0]) if columns[0] else 31 - int(columns[-1])
            wanted = image.roll((-down, -across), (1, 2))
            if torch.equal(back[:, mask], wanted[:, mask]):
                places.add((down, across, flipped))
                assert torch.equal(one[:, ~inside], black[0].expand_as(one)[:, ~inside])
                break
        else:
            pytest.fail("no part of its image")
    assert {abs(down) for down, _, _ in places} <= set(range(SHIFT + 1))
    assert {flipped for _, _, flipped in places} == {True, False}


def test_two_networks_are_compared_by_hand():
    class Says(nn.Module):
        def __init__(self, logits):
            super().__init__()
            self.logits = torch.tensor(logits)

        def forward(self, images):
            return self.logits.expand(len(images), -1)

    teacher, student = Says([[math.log(3.0), 0.0]]), Says([[0.0, 0.0]])
    seen = compared("x", teacher, student, torch.zeros(4, 1), torch.tensor([0, 0, 0, 1]))
    expected = 0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.5)
    assert seen == {"teacher_x": 75.0, "student_x": 75.0, "KL_x": round(expected, 4)}
