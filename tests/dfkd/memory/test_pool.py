"""The ring buffer of single images."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dfkd.images import ImageSpec
from dfkd.memory import pool as pool_module
from dfkd.memory.labelled_batch import LabelledBatch
from dfkd.memory.pool import PoolMemory
from tests.support.tiny import CPU, through_a_file

SPEC = ImageSpec((1, 1, 1), (0.5,), (0.25,))


def numbered(start, count):
    """Images and logits that carry their number."""
    values = torch.arange(start, start + count, dtype=torch.float32)
    return LabelledBatch(values.view(-1, 1, 1, 1), values.view(-1, 1).repeat(1, 2))


@settings(deadline=None)
@given(st.integers(1, 20), st.lists(st.integers(1, 9), min_size=1, max_size=12), st.booleans())
def test_pool_holds_the_latest_images_with_their_logits(capacity, batches, resume):
    pool, total = PoolMemory(capacity, SPEC), 0
    for count in batches:
        count = min(count, capacity)
        pool.store(numbered(total, count))
        total += count
        if resume:
            fresh = PoolMemory(capacity, SPEC)
            fresh.load_state_dict(pool.state_dict(), CPU)
            pool = fresh
    drawn = pool.sample(200, torch.Generator().manual_seed(0))
    assert torch.equal(drawn.images.flatten(), drawn.logits[:, 0])
    assert drawn.images.min() >= max(0, total - capacity)
    assert drawn.images.max() < total
    assert pool.count == min(capacity, total)


def test_samples_cover_exactly_the_stored_images():
    pool = PoolMemory(5, SPEC)
    for start in range(0, 12, 3):
        pool.store(numbered(start, 3))
    drawn = pool.sample(500, torch.Generator().manual_seed(0))
    assert set(drawn.images.flatten().tolist()) == {7.0, 8.0, 9.0, 10.0, 11.0}


def test_half_full_pool_samples_no_empty_slot():
    pool = PoolMemory(100, SPEC)
    pool.store(numbered(1, 3))
    assert pool.sample(300, torch.Generator().manual_seed(0)).images.min() >= 1


def test_sample_depends_on_random_state_and_count():
    pool = PoolMemory(8, SPEC)
    pool.store(numbered(0, 8))
    first, second, third = (
        pool.sample(5, torch.Generator().manual_seed(seed)).images for seed in (1, 1, 2)
    )
    assert torch.equal(first, second)
    assert not torch.equal(first, third)
    assert len(first) == 5


def test_storage_does_not_grow():
    pool = PoolMemory(8, SPEC)
    pool.store(numbered(0, 4))
    place = pool._images.data_ptr()
    for start in range(4, 100, 4):
        pool.store(numbered(start, 4))
    assert pool._images.data_ptr() == place
    assert len(pool._images) == 8


def test_images_are_stored_in_half_precision():
    pool = PoolMemory(4, SPEC)
    pool.store(LabelledBatch(torch.full((2, 1, 1, 1), 0.1), torch.full((2, 3), 0.1)))
    drawn = pool.sample(1, torch.Generator().manual_seed(0))
    assert drawn.images.dtype == torch.float32
    assert drawn.images.item() == torch.tensor(0.1).half().float().item()
    assert drawn.logits[0, 0].item() == torch.tensor(0.1).item()


def test_stored_images_are_copies():
    pool, labelled_batch = PoolMemory(4, SPEC), numbered(1, 2)
    pool.store(labelled_batch)
    labelled_batch.images.zero_()
    labelled_batch.logits.zero_()
    drawn = pool.sample(20, torch.Generator().manual_seed(0))
    assert drawn.images.min() >= 1
    assert drawn.logits.min() >= 1


def test_checkpoint_holds_only_the_stored_images(tmp_path):
    pool = PoolMemory(10_000, SPEC)
    pool.store(numbered(0, 4))
    torch.save(pool.state_dict(), tmp_path / "state.pt")
    assert (tmp_path / "state.pt").stat().st_size < 10_000


@pytest.mark.parametrize("rounds", [1, 5])
def test_resumed_pool_replaces_the_oldest_images(rounds):
    pool = PoolMemory(8, SPEC)
    for start in range(rounds):
        pool.store(numbered(3 * start, 3))
    other = PoolMemory(8, SPEC)
    other.load_state_dict(through_a_file(pool.state_dict()), CPU)
    for one in (pool, other):
        one.store(numbered(100, 3))
    assert torch.equal(pool._images, other._images)
    assert torch.equal(pool._logits, other._logits)
    assert pool.count == other.count


def test_sample_of_an_empty_pool_is_none():
    pool = PoolMemory(4, SPEC)
    assert pool.sample(1, torch.Generator()) is None
    other = PoolMemory(4, SPEC)
    other.load_state_dict(through_a_file(pool.state_dict()), CPU)
    assert other.sample(1, torch.Generator()) is None


def test_observe_and_end_round_do_not_change_the_pool():
    pool = PoolMemory(4, SPEC)
    pool.observe(numbered(0, 2), 0, torch.Generator())
    pool.end_round(numbered(0, 2))
    assert pool.sample(1, torch.Generator()) is None
    assert not pool.learns


@given(
    capacity=st.integers(1, 12),
    before=st.lists(st.integers(1, 5), max_size=6),
    after=st.lists(st.integers(1, 5), max_size=6),
    again=st.lists(st.integers(1, 5), max_size=3),
)
def test_images_stored_after_the_mark_are_dropped(capacity, before, after, again):
    pool, number = PoolMemory(capacity, SPEC), 0

    def remember(sizes):
        nonlocal number
        for size in (min(size, capacity) for size in sizes):
            values = torch.arange(number, number + size).float()
            pool.store(LabelledBatch(values.view(-1, 1, 1, 1), values.view(-1, 1)))
            number += size

    remember(before)
    marked = number
    pool.mark_healthy()
    remember(after)
    written = number
    pool.drop_unmarked()
    # Healthy images were stored at the mark and not replaced since.
    sound = list(range(max(0, written - capacity), marked))
    assert held(pool) == sound
    remember(again)
    assert held(pool) == (sound + list(range(written, number)))[-capacity:]


def held(pool):
    return sorted(int(value) for value in pool.state_dict()["logits"].flatten())


def test_large_images_take_no_more_than_the_limit(monkeypatch):
    monkeypatch.setattr(pool_module, "MAX_POOL_BYTES", 10 * 2 * 3 * 4 * 4)
    pool = PoolMemory(20_000, SPEC)
    for value in range(15):
        pool.store(LabelledBatch(torch.full((1, 3, 4, 4), float(value)), torch.zeros(1, 2)))
    assert (pool.capacity, pool.count) == (10, 10)
    assert set(pool.images[:, 0, 0, 0].tolist()) == set(range(5, 15))


def test_images_with_16_bits_are_stored_on_the_standard_scale():
    """65,535 is more than half precision can store."""
    spec = ImageSpec((1, 1, 1), (0.0,), (1.0,), (0.0, 65_535.0))
    pool = PoolMemory(4, spec)
    images = torch.tensor([0.0, 20_000.0, 65_535.0]).view(3, 1, 1, 1)
    pool.store(LabelledBatch(images, torch.zeros(3, 2)))
    torch.testing.assert_close(pool.images, images, atol=20.0, rtol=0)
    resumed = PoolMemory(4, spec)
    resumed.load_state_dict(through_a_file(pool.state_dict()), CPU)
    assert torch.equal(resumed.images, pool.images)
