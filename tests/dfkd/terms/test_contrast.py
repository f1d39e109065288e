import copy
import math

import pytest
import torch
from torch import nn

from dfkd.models.forward_pass import LayerStatistics
from dfkd.terms.contrast import Contrast
from tests.dfkd.terms import draw

TEACHER = nn.Sequential(
    nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2), nn.Conv2d(2, 1, 1), nn.BatchNorm2d(1)
)


def contrast(**options):
    torch.manual_seed(0)
    term = Contrast(TEACHER, **{"width": 4, **options})
    term.head.double()
    return term


def views(rows):
    """Channel means (2 N, 3) as they come from two batch norms of two channels and one."""
    return [
        LayerStatistics(part, torch.ones_like(part), torch.zeros(1), torch.ones(1))
        for part in (rows[:, :2], rows[:, 2:])
    ]


def by_hand(term, global_views, local_views):
    """Each row's InfoNCE: its own key against all keys."""
    with torch.no_grad():
        keys = [term.head(row) for row in global_views]
        queries = [term.head(row) for row in local_views]
    keys, queries = ([row / row.norm() for row in rows] for rows in (keys, queries))
    losses = []
    for own, query in enumerate(queries):
        powers = [math.exp((query @ key).item() / term.temperature) for key in keys]
        losses.append(-math.log(powers[own] / sum(powers)))
    return losses


def mean(values):
    return sum(values) / len(values)


@pytest.mark.parametrize("temperature", [0.2, 1.0])
def test_first_batch_is_info_nce_of_its_own_pairs(temperature):
    term, rows = contrast(temperature=temperature), draw(6, 3)
    value = term(views(rows))
    assert value.item() == pytest.approx(mean(by_hand(term, rows[:3], rows[3:])))


def test_batch_rows_and_bank_rows_are_averaged_separately():
    term, earlier, rows = contrast(), draw(10, 3, seed=1), draw(4, 3)
    term(views(earlier))
    term.end_batch()
    each = by_hand(term, torch.cat([rows[:2], earlier[:5]]), torch.cat([rows[2:], earlier[5:]]))
    value = term(views(rows)).item()
    assert value == pytest.approx(mean(each[:2]) + mean(each[2:]))
    assert value != pytest.approx(mean(each), rel=0.05)


def test_number_of_bank_rows_is_limited():
    term, earlier, rows = contrast(negatives=1), draw(6, 3, seed=1), draw(4, 3)
    term(views(earlier))
    term.end_batch()
    possible = []
    for index in range(3):
        each = by_hand(
            term,
            torch.cat([rows[:2], earlier[index : index + 1]]),
            torch.cat([rows[2:], earlier[3 + index : 4 + index]]),
        )
        possible.append(mean(each[:2]) + each[2])
    drawn = {round(term(views(rows)).item(), 9) for _ in range(40)}
    assert drawn == {round(value, 9) for value in possible}


def test_only_the_query_has_a_gradient():
    term, rows = contrast(), draw(6, 3).requires_grad_()
    term(views(rows)).backward()
    assert (rows.grad[:3] == 0).all()
    assert (rows.grad[3:] != 0).any(1).all()


def test_gradient_of_the_query_by_finite_differences():
    term, keys, earlier = contrast(), draw(3, 3), draw(8, 3, seed=1)
    term(views(earlier))
    term.end_batch()
    queries = draw(3, 3, seed=2).requires_grad_()
    assert torch.autograd.gradcheck(lambda q: term(views(torch.cat([keys, q]))), (queries,))


def test_bank_rows_have_no_gradient_to_the_images():
    term, earlier, rows = contrast(), draw(8, 3, seed=1), draw(4, 3).requires_grad_()
    term(views(earlier))
    term.end_batch()
    (whole,) = torch.autograd.grad(term(views(rows)), rows)

    keys = torch.cat([rows[:2], earlier[:4]]).detach()
    keys = torch.nn.functional.normalize(term.head(keys), dim=1).detach()
    queries = torch.nn.functional.normalize(term.head(rows[2:]), dim=1)
    logs = (queries @ keys.T / term.temperature).log_softmax(1)
    (own,) = torch.autograd.grad(-(logs[0, 0] + logs[1, 1]) / 2, rows)
    torch.testing.assert_close(whole, own)


def test_bank_holds_the_latest_pairs_up_to_its_capacity():
    term, batches = contrast(capacity=5), [draw(4, 3, seed=seed) for seed in range(6)]
    for number, rows in enumerate(batches):
        term(views(rows))
        term.end_batch()
        assert len(term.state_dict()["bank"]) == min(2 * (number + 1), 5)
    pairs = torch.cat([torch.stack([rows[:2], rows[2:]], 1) for rows in batches])
    torch.testing.assert_close(term.state_dict()["bank"], pairs[-5:])


def test_bank_stores_the_last_version_of_a_batch_once():
    term, batches = contrast(), [draw(4, 3, seed=seed) for seed in range(3)]
    for rows in batches:
        term(views(rows.requires_grad_()))
    term.end_batch()
    bank = term.state_dict()["bank"]
    assert not bank.requires_grad
    torch.testing.assert_close(bank[:, 0], batches[-1][:2].detach())
    torch.testing.assert_close(bank[:, 1], batches[-1][2:].detach())


def test_head_learns_to_distinguish_pairs():
    term, rows = contrast(lr=0.05), draw(8, 3)
    rows[4:] = rows[:4] + 0.1 * rows[4:]
    first = term(views(rows)).item()
    for _ in range(20):
        for parameter in term.parameters():
            parameter.grad = None
        term(views(rows)).backward(inputs=term.parameters())
        term.step()
    assert term(views(rows)).item() < 0.7 * first


def test_contrast_continues_from_its_state():
    first = contrast()
    first(views(draw(4, 3))).backward()
    first.step()
    first.end_batch()
    torch.manual_seed(9)
    second = Contrast(TEACHER, width=4)
    second.head.double()
    # torch's optimizers keep references to the loaded state.
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    for term in (first, second):
        for parameter in term.parameters():
            parameter.grad = None
        term(views(draw(4, 3, seed=5))).backward()
        term.step()
        term.end_batch()
    fresh = views(draw(4, 3, seed=6))
    torch.testing.assert_close(second(fresh), first(fresh))
    torch.testing.assert_close(second.state_dict()["bank"], first.state_dict()["bank"])


def test_state_without_a_bank_can_be_restored():
    first, second = contrast(), contrast()
    second.load_state_dict(first.state_dict())
    rows = views(draw(4, 3))
    assert second(rows) == first(rows)


def test_contrast_accepts_batch_norm_without_affine_parameters():
    teacher = nn.Sequential(nn.Conv2d(1, 3, 1), nn.BatchNorm2d(3, affine=False))
    assert Contrast(teacher, width=4).head[0].in_features == 3
