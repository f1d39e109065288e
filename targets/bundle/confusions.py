"""Which classes a student predicts where the teacher predicts another one."""

import numpy as np
from numpy.typing import NDArray

MAX_CONFUSIONS = 1000
"""Largest number of pairs of classes that are kept. With 1000 classes there are a million pairs."""


def confusions(
    teacher_logits: NDArray[np.float32], student_logits: NDArray[np.float32]
) -> list[list[int]]:
    """Return how often the student predicts another class than the teacher, by pair of classes.

    Args:
        teacher_logits: (N, K).
        student_logits: (N, K), for the same images.

    Returns:
        Teacher's class, student's class and number of images, at most `MAX_CONFUSIONS` of them, the
        most frequent first. Images on which both predict the same class are left out.

    Example:
        >>> confusions(np.eye(3, dtype=np.float32), np.eye(3, dtype=np.float32)[[0, 2, 2]])
        [[1, 2, 1]]
    """
    teacher, student = teacher_logits.argmax(1), student_logits.argmax(1)
    pairs = np.stack([teacher, student], 1)[teacher != student]
    found, counts = np.unique(pairs, axis=0, return_counts=True)
    order = np.argsort(-counts, kind="stable")[:MAX_CONFUSIONS]
    return [[*map(int, found[index]), int(counts[index])] for index in order]
