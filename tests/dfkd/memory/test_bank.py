"""The ring buffer of whole batches."""

import torch

from dfkd.memory.bank import BankMemory
from dfkd.memory.labelled_batch import LabelledBatch
from dfkd.recipes import RECIPES
from dfkd.training.budget import Plan
from tests.support.tiny import CPU, make_loop, shrunk, through_a_file


def batch(number, size=8):
    """A batch whose images are `number` and whose logits count within the batch."""
    return LabelledBatch(
        torch.full((size, 1, 2, 2), float(number)), torch.arange(size).float().view(-1, 1)
    )


def numbers(bank):
    return [int(labelled_batch.images[0, 0, 0, 0]) for labelled_batch in bank.batches]


def test_bank_holds_the_latest_batches():
    bank = BankMemory(capacity=3, size=2, every=1)
    for number in range(5):
        bank.end_round(batch(number))
    assert numbers(bank) == [2, 3, 4]


def test_bank_stores_the_first_images_of_the_last_batch():
    bank = BankMemory(capacity=3, size=2, every=1)
    bank.end_round(batch(0))
    (kept,) = bank.batches
    assert kept.images.shape == (2, 1, 2, 2)
    assert kept.logits.flatten().tolist() == [0.0, 1.0]


def test_bank_stores_a_batch_at_its_interval():
    bank = BankMemory(capacity=10, size=2, every=3)
    for number in range(8):
        bank.end_round(batch(number))
    assert numbers(bank) == [0, 3, 6]


def test_round_without_new_images_counts_for_the_interval():
    bank = BankMemory(capacity=10, size=2, every=2)
    for last in (batch(0), None, None, batch(3), batch(4)):
        bank.end_round(last)
    assert numbers(bank) == [0, 4]


def test_sample_is_a_random_stored_batch():
    bank = BankMemory(capacity=3, size=2, every=1)
    for number in range(3):
        bank.end_round(batch(number))
    rng = torch.Generator().manual_seed(0)
    drawn = [bank.sample(2, rng) for _ in range(60)]
    assert all(
        (labelled_batch.images == labelled_batch.images[0, 0, 0, 0]).all()
        for labelled_batch in drawn
    )
    assert {int(labelled_batch.images[0, 0, 0, 0]) for labelled_batch in drawn} == {0, 1, 2}


def test_sample_of_an_empty_bank_is_none():
    bank = BankMemory(capacity=3, size=2, every=1)
    bank.store(batch(0))
    bank.observe(batch(0), 0, torch.Generator())
    assert bank.sample(2, torch.Generator()) is None
    assert not bank.learns


def test_stored_batch_is_a_copy():
    bank, last = BankMemory(capacity=3, size=2, every=1), batch(5)
    bank.end_round(last)
    last.images.zero_()
    assert numbers(bank) == [5]


def test_stored_batch_does_not_reference_the_whole_batch():
    bank = BankMemory(capacity=3, size=2, every=1)
    bank.end_round(batch(0, size=64))
    assert bank.batches[0].images.untyped_storage().nbytes() == 2 * 4 * 4


def test_resumed_bank_keeps_its_interval():
    bank = BankMemory(capacity=4, size=2, every=2)
    for number in range(3):
        bank.end_round(batch(number))
    other = BankMemory(capacity=4, size=2, every=2)
    other.load_state_dict(through_a_file(bank.state_dict()), CPU)
    for one in (bank, other):
        one.end_round(batch(3))
        one.end_round(batch(4))
    assert numbers(bank) == numbers(other) == [0, 2, 4]


def test_interval_is_scaled_with_the_run():
    # A batch every 5 * 36 published rounds, scaled to every 2; an eighth of 16 images.
    loop = make_loop(shrunk(RECIPES["mb-dfkd"]), Plan(0, 5, stretch=2 / 180))
    loop.run()
    assert [len(labelled_batch.images) for labelled_batch in loop.memory.batches] == [2, 2, 2]
    assert loop.memory.every == 2


def test_batches_stored_after_the_mark_are_dropped():
    bank = BankMemory(capacity=2, size=1, every=1)

    def close(value):
        images = torch.full((1, 1, 1, 1), float(value))
        bank.end_round(LabelledBatch(images, images.flatten(1)))

    close(1)
    close(2)
    bank.mark_healthy()
    close(3)
    bank.drop_unmarked()
    assert [batch.images.item() for batch in bank.batches] == [1.0, 2.0]
