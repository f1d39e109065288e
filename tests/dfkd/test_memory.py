import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dfkd.memory import ImagePool


def numbered(start, count):
    values = torch.arange(start, start + count, dtype=torch.float32)
    return values.view(-1, 1, 1, 1), values.view(-1, 1).repeat(1, 2)


@given(st.integers(1, 20), st.lists(st.integers(1, 9), min_size=1, max_size=12), st.booleans())
def test_holds_the_latest_and_pairs_images_with_their_logits(capacity, batches, resume):
    pool, total = ImagePool(capacity), 0
    for count in batches:
        count = min(count, capacity)
        pool.remember(*numbered(total, count))
        total += count
        if resume:
            fresh = ImagePool(capacity)
            fresh.load_state_dict(pool.state_dict(), torch.device("cpu"))
            pool = fresh
    images, logits = pool.recall(200, torch.Generator().manual_seed(0))
    assert torch.equal(images.flatten(), logits[:, 0])
    assert images.min() >= max(0, total - capacity)
    assert images.max() < total
    assert pool.count == min(capacity, total)


def test_memory_does_not_grow():
    pool = ImagePool(8)
    pool.remember(*numbered(0, 4))
    place = pool._images.data_ptr()
    for start in range(4, 100, 4):
        pool.remember(*numbered(start, 4))
    assert pool._images.data_ptr() == place
    assert len(pool._images) == 8


def test_a_checkpoint_holds_no_more_than_is_remembered(tmp_path):
    pool = ImagePool(10_000)
    pool.remember(*numbered(0, 4))
    torch.save(pool.state_dict(), tmp_path / "state.pt")
    assert (tmp_path / "state.pt").stat().st_size < 10_000


def test_nothing_to_recall():
    with pytest.raises(IndexError):
        ImagePool(4).recall(1, torch.Generator())
