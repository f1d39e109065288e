"""Pairs of classes that are confused."""

import numpy as np

from targets.bundle import confusions as module
from targets.bundle.confusions import confusions


def logits(*classes):
    return np.eye(4, dtype=np.float32)[list(classes)]


def test_pairs_are_counted_the_most_frequent_first():
    teacher, student = logits(0, 0, 1, 2, 2, 2, 3), logits(0, 1, 1, 3, 3, 0, 3)
    assert confusions(teacher, student) == [[2, 3, 2], [0, 1, 1], [2, 0, 1]]


def test_equal_predictions_have_no_pairs():
    assert confusions(logits(0, 1, 2), logits(0, 1, 2)) == []


def test_only_the_most_frequent_pairs_are_kept(monkeypatch):
    monkeypatch.setattr(module, "MAX_CONFUSIONS", 1)
    assert confusions(logits(0, 2, 2), logits(1, 3, 3)) == [[2, 3, 2]]
