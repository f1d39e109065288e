"""A short ring of whole batches."""

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
    return [int(lesson.images[0, 0, 0, 0]) for lesson in bank.batches]


def test_a_ring_of_the_latest_batches():
    bank = BankMemory(capacity=3, size=2, every=1)
    for number in range(5):
        bank.end_round(batch(number))
    assert numbers(bank) == [2, 3, 4]


def test_takes_the_first_images_of_the_rounds_last_batch():
    bank = BankMemory(capacity=3, size=2, every=1)
    bank.end_round(batch(0))
    (kept,) = bank.batches
    assert kept.images.shape == (2, 1, 2, 2)
    assert kept.logits.flatten().tolist() == [0.0, 1.0]


def test_a_batch_every_so_many_rounds_from_the_first_on():
    bank = BankMemory(capacity=10, size=2, every=3)
    for number in range(8):
        bank.end_round(batch(number))
    assert numbers(bank) == [0, 3, 6]


def test_a_round_without_fresh_images_leaves_no_batch_but_counts():
    bank = BankMemory(capacity=10, size=2, every=2)
    for last in (batch(0), None, None, batch(3), batch(4)):
        bank.end_round(last)
    assert numbers(bank) == [0, 4]


def test_recalls_one_whole_stored_batch_at_random():
    bank = BankMemory(capacity=3, size=2, every=1)
    for number in range(3):
        bank.end_round(batch(number))
    rng = torch.Generator().manual_seed(0)
    drawn = [bank.sample(2, rng) for _ in range(60)]
    assert all((lesson.images == lesson.images[0, 0, 0, 0]).all() for lesson in drawn)
    assert {int(lesson.images[0, 0, 0, 0]) for lesson in drawn} == {0, 1, 2}


def test_nothing_to_recall_before_the_end_of_the_first_round():
    bank = BankMemory(capacity=3, size=2, every=1)
    bank.store(batch(0))
    bank.observe(batch(0), 0, torch.Generator())
    assert bank.sample(2, torch.Generator()) is None
    assert not bank.learns


def test_what_was_stored_does_not_follow_later_changes():
    bank, last = BankMemory(capacity=3, size=2, every=1), batch(5)
    bank.end_round(last)
    last.images.zero_()
    assert numbers(bank) == [5]


def test_a_stored_batch_does_not_keep_the_whole_batch_in_memory():
    bank = BankMemory(capacity=3, size=2, every=1)
    bank.end_round(batch(0, size=64))
    assert bank.batches[0].images.untyped_storage().nbytes() == 2 * 4 * 4


def test_a_resumed_bank_goes_on_in_the_same_rhythm():
    bank = BankMemory(capacity=4, size=2, every=2)
    for number in range(3):
        bank.end_round(batch(number))
    other = BankMemory(capacity=4, size=2, every=2)
    other.load_state_dict(through_a_file(bank.state_dict()), CPU)
    for one in (bank, other):
        one.end_round(batch(3))
        one.end_round(batch(4))
    assert numbers(bank) == numbers(other) == [0, 2, 4]


def test_in_a_loop_period_and_size_follow_the_recipe_and_the_length_of_the_run():
    # A batch every 5 * 36 published rounds, stretched to every 2; an eighth of 16 images.
    loop = make_loop(shrunk(RECIPES["mb-dfkd"]), Plan(0, 5, stretch=2 / 180))
    loop.run()
    assert [len(lesson.images) for lesson in loop.memory.batches] == [2, 2, 2]
    assert loop.memory.every == 2


def test_what_came_after_the_mark_is_dropped():
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
