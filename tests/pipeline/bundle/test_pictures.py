"""Sample pictures of the probes."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from pipeline.bundle import pictures
from pipeline.bundle.pictures import class_pictures
from targets.bundle.golden import Golden


def golden(classes, shape=(1, 32, 32), total=4):
    """Return probes whose pixels all have the probe's index as value."""
    count = len(classes)
    return Golden(
        pixels=np.stack([np.full(shape, index, np.uint8) for index in range(count)]),
        mean=np.zeros(shape[0], np.float32),
        std=np.ones(shape[0], np.float32),
        value_range=np.array([0, 1], np.float32),
        teacher_logits=np.eye(total, dtype=np.float32)[list(classes)],
        generator=np.zeros(count, np.int64),
        asked=np.zeros(count, np.int64),
    )


def opened(uri):
    return Image.open(io.BytesIO(base64.b64decode(uri.partition("base64,")[2])))


def test_pictures_are_spread_over_the_probes_of_their_class():
    found = class_pictures(golden([2, 0, 2, 2, 2, 2]))
    assert [(each.label, each.count, len(each.uris)) for each in found] == [(0, 1, 1), (2, 5, 3)]
    assert [opened(uri).getpixel((0, 0)) for uri in found[1].uris] == [0, 3, 5]


@pytest.mark.parametrize(
    ("shape", "size", "kind"),
    [
        ((1, 32, 32), (128, 128), "PNG"),
        ((3, 40, 30), (90, 120), "PNG"),
        ((3, 100, 100), (100, 100), "JPEG"),
        ((3, 512, 256), (64, 128), "JPEG"),
    ],
)
def test_small_images_are_enlarged_and_large_ones_reduced(shape, size, kind):
    (found,) = class_pictures(golden([1], shape))
    picture = opened(found.uris[0])
    assert (picture.size, picture.format) == (size, kind)
    assert (found.width, found.height) == size


def test_only_the_most_frequent_classes_are_shown(monkeypatch):
    monkeypatch.setattr(pictures, "MAX_CLASSES", 2)
    assert [each.label for each in class_pictures(golden([3, 0, 1, 1, 3]))] == [1, 3]


def test_pictures_stay_below_their_limit(monkeypatch):
    one = len(class_pictures(golden([0]))[0].uris[0])
    monkeypatch.setattr(pictures, "MAX_BYTES", 2 * one + one // 2)
    assert [each.label for each in class_pictures(golden([0, 1, 2]))] == [0, 1]
