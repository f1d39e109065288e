"""Preparing pictures, compared with torchvision and with the probes' normalization."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from dfkd.images import ImageSpec
from pipeline.config.input_section import InputSection
from pipeline.teachers.torchvision_on_cpu import import_torchvision
from pipeline.user_images import preparing
from pipeline.user_images.preparing import normalize, prepare
from pipeline.user_images.reading import UnreadableError
from targets.bundle.golden import Golden

TRANSFORMS = import_torchvision().transforms

SIDES = st.integers(1, 60)


def section(height, width, channels=3, **keys):
    mean, std = [0.4, 0.5, 0.6][:channels], [0.2, 0.3, 0.25][:channels]
    return InputSection(shape=(channels, height, width), mean=mean, std=std, **keys)


def picture(height, width, channels=3):
    shape = (height, width, 3) if channels == 3 else (height, width)
    return Image.fromarray(np.random.default_rng(height).integers(0, 256, shape, np.uint8))


def with_torchvision(image, interpolation, resize=None, crop=None):
    """Pixels after the transforms that most teachers are evaluated with."""
    mode = TRANSFORMS.InterpolationMode(interpolation)
    steps = [TRANSFORMS.Resize(resize, mode, antialias=True)] if resize else []
    steps += [TRANSFORMS.CenterCrop(crop)] if crop else []
    tensor = TRANSFORMS.Compose([*steps, TRANSFORMS.ToTensor()])(image)
    return (tensor * 255).round().byte().numpy()


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "nearest"])
@given(SIDES, SIDES, SIDES, SIDES, st.sampled_from([1, 3]))
def test_resizing_equals_torchvision(interpolation, height, width, to_height, to_width, channels):
    image, keys = picture(height, width, channels), {"interpolation": interpolation}
    expected = with_torchvision(image, interpolation, [to_height, to_width])
    assert np.array_equal(prepare(image, section(to_height, to_width, channels, **keys)), expected)
    explicit = section(to_height, to_width, channels, resize=[to_height, to_width], **keys)
    assert np.array_equal(prepare(image, explicit), expected)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@given(SIDES, SIDES, SIDES, SIDES, SIDES)
def test_shorter_side_and_crop_equal_torchvision(
    interpolation, height, width, resize, crop_height, crop_width
):
    image, crop = picture(height, width), [crop_height, crop_width]
    chosen = section(*crop, resize=resize, crop=crop, interpolation=interpolation)
    expected = with_torchvision(image, interpolation, resize, crop)
    assert np.array_equal(prepare(image, chosen), expected)


@given(SIDES, SIDES, SIDES)
def test_crop_alone_equals_torchvision(height, width, crop):
    image = picture(height, width)
    expected = with_torchvision(image, "bilinear", crop=crop)
    assert np.array_equal(prepare(image, section(crop, crop, crop=crop)), expected)


def test_too_long_picture_is_unreadable(monkeypatch):
    monkeypatch.setattr(preparing, "MAX_PIXELS", 1_000)
    with pytest.raises(UnreadableError, match="3200 x 32 pixels when resized"):
        prepare(picture(1, 100), section(32, 32, resize=32, crop=32))


@pytest.mark.parametrize("value_range", [(0.0, 1.0), (0.0, 255.0), (-1.0, 1.0)])
def test_normalized_images_equal_those_of_probes_and_training(value_range):
    pixels = np.random.default_rng(0).integers(0, 256, (4, 3, 8, 9), np.uint8)
    chosen = section(8, 9, value_range=value_range)
    mean, std = np.array(chosen.mean, np.float32), np.array(chosen.std, np.float32)
    ends, logits = np.array(value_range, np.float32), np.zeros((4, 2), np.float32)
    index = np.zeros(4, np.int64)
    probes = Golden(pixels, mean, std, ends, logits, index, index)
    found = normalize(pixels, chosen)
    assert found.dtype == np.float32
    assert np.array_equal(found, probes.images)
    low, high = value_range
    spec = ImageSpec(chosen.shape, chosen.mean, chosen.std, value_range)
    raw = low + (high - low) * torch.from_numpy(pixels).float() / 255
    assert np.array_equal(found, spec.normalise(raw).numpy())
