"""Reading the real data sets, and the accuracy on them."""

import gzip

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from benchmarks import data
from benchmarks.data import accuracy_percent, load_data_set
from dfkd.images import ImageSpec

GREY = ImageSpec((1, 32, 32), (0.5,), (0.25,))


def write_idx(folder, pixels, labels):
    raw = folder / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name, header, content in (("images-idx3", 16, pixels), ("labels-idx1", 8, labels)):
        path = raw / f"t10k-{name}-ubyte.gz"
        path.write_bytes(gzip.compress(bytes(header) + content.tobytes()))


def test_mnist_is_resized_and_normalised(tmp_path):
    pixels = np.zeros((3, 28, 28), np.uint8)
    pixels[1] = 255
    write_idx(tmp_path, pixels, np.array([7, 0, 3], np.uint8))
    images, labels = load_data_set("mnist", tmp_path, train=False, spec=GREY)
    assert images.shape == (3, 1, 32, 32)
    assert labels.tolist() == [7, 0, 3]
    assert images[0].unique().tolist() == [-2.0]
    assert images[1].unique().tolist() == [2.0]


def test_missing_mnist_is_downloaded_by_torchvision(tmp_path, monkeypatch):
    class Datasets:
        @staticmethod
        def MNIST(root, train, download):  # noqa: N802
            assert download
            write_idx(tmp_path, np.zeros((1, 28, 28), np.uint8), np.zeros(1, np.uint8))

    monkeypatch.setattr(data, "import_torchvision", lambda: type("tv", (), {"datasets": Datasets}))
    assert len(load_data_set("mnist", tmp_path, train=False, spec=GREY)[0]) == 1


def test_cifar10_images_keep_their_order(tmp_path):
    folder = tmp_path / "cifar10"
    folder.mkdir()
    strip = np.arange(4, dtype=np.uint8).repeat(32 * 32 * 3).reshape(4 * 32, 32, 3)
    for part in (0, 1):
        Image.fromarray(strip[part * 64 : part * 64 + 64]).save(folder / f"test_0{part}.png")
    np.save(folder / "test_labels.npy", np.arange(4, dtype=np.uint8))
    spec = ImageSpec((3, 32, 32), (0.0,) * 3, (1 / 255,) * 3)
    images, _ = load_data_set("cifar10", tmp_path, train=False, spec=spec)
    torch.testing.assert_close(images.mean((1, 2, 3)), torch.arange(4.0))


def test_missing_cifar10_is_reported(tmp_path):
    with pytest.raises(FileNotFoundError, match="cifar10"):
        load_data_set("cifar10", tmp_path, train=False, spec=GREY)


def test_accuracy_is_in_percent_over_uneven_batches():
    images = torch.randn(1201, 4)
    labels = images.argmax(1)
    labels[:12] = (labels[:12] + 1) % 4
    assert accuracy_percent(nn.Identity(), images, labels) == pytest.approx(100 * 1189 / 1201)


def test_unknown_data_set_is_refused(tmp_path):
    with pytest.raises(ValueError, match="unknown data set 'mnst'; did you mean 'mnist'"):
        load_data_set("mnst", tmp_path, train=False, spec=GREY)
