"""Reading picture files of every kind, written by Pillow."""

import io
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from base.errors import InputError
from pipeline.user_images import reading
from pipeline.user_images.reading import (
    UnreadableError,
    picture_files,
    read_picture,
    without_warnings,
)
from tests.support.hostile_input import FUZZ, FUZZ_TIMEOUT, mutated

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (5, 7), np.uint8)
COLOUR = RNG.integers(0, 256, (5, 7, 3), np.uint8)

STORED = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, 1),
    7: lambda a: a.swapaxes(0, 1)[::-1, ::-1],
    8: lambda a: np.rot90(a, -1),
}
"""What a camera stores of an upright picture, by the EXIF orientation (EXIF 2.3, tag 274)."""


def saved(folder, picture, name="picture.png", **options):
    picture.save(folder / name, **options)
    return folder / name


def read(path, channels=3):
    return np.asarray(read_picture(path, channels))


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("name", ["a.png", "a.tiff", "a.webp"])
def test_orientation_gives_the_upright_picture(tmp_path, orientation, name):
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](COLOUR)))
    (exif := Image.Exif())[0x0112] = orientation
    lossless = {"lossless": True} if name.endswith("webp") else {}
    path = saved(tmp_path, stored, name, exif=exif, **lossless)
    assert np.array_equal(read(path), COLOUR)


def test_orientation_of_jpeg(tmp_path):
    (exif := Image.Exif())[0x0112] = 6
    stored = Image.fromarray(np.ascontiguousarray(STORED[6](GREY)))
    path = saved(tmp_path, stored, "a.jpg", exif=exif, quality=100)
    assert np.abs(read(path, 1).astype(int) - GREY).max() <= 3


@pytest.mark.parametrize("orientation", [0, 9, 65_535])
def test_invalid_orientation_is_ignored(tmp_path, orientation):
    (exif := Image.Exif())[0x0112] = orientation
    assert np.array_equal(read(saved(tmp_path, Image.fromarray(COLOUR), exif=exif)), COLOUR)


def test_grey_file_for_colour_network(tmp_path):
    found = read(saved(tmp_path, Image.fromarray(GREY)))
    assert np.array_equal(found, np.stack([GREY] * 3, 2))


def test_colour_file_for_grey_network(tmp_path):
    found = read(saved(tmp_path, Image.fromarray(COLOUR)), 1)
    luma = COLOUR @ np.array([0.299, 0.587, 0.114])  # ITU-R 601-2
    assert np.abs(found - luma).max() <= 1


def test_transparent_pixels_become_white(tmp_path):
    alpha = np.array([[0, 255], [128, 0]], np.uint8)
    colours = np.dstack([np.full((2, 2, 3), 40, np.uint8), alpha])
    found = read(saved(tmp_path, Image.fromarray(colours)))
    assert found[..., 0].tolist() == [[255, 40], [147, 255]]


def test_transparency_of_grey_and_palette_files(tmp_path):
    grey = saved(tmp_path, Image.fromarray(np.dstack([GREY, np.zeros_like(GREY)])), "la.png")
    assert (read(grey, 1) == 255).all()
    palette = Image.fromarray(np.array([[0, 1]], np.uint8)).convert("P")
    palette.putpalette([10, 20, 30, 40, 50, 60])
    assert read(saved(tmp_path, palette, "p.png"))[0].tolist() == [[10, 20, 30], [40, 50, 60]]
    path = saved(tmp_path, palette, "t.png", transparency=0)
    assert read(path)[0].tolist() == [[255, 255, 255], [40, 50, 60]]
    assert read(saved(tmp_path, palette, "t.gif", transparency=0))[0, 0].tolist() == [255] * 3


@pytest.mark.parametrize("name", ["a.png", "a.tiff", "a.pgm"])
def test_16_bits_are_scaled_to_8(tmp_path, name):
    values = np.array([[0, 128, 129, 257, 32_768, 65_278, 65_535]], np.uint16)
    path = saved(tmp_path, Image.fromarray(values), name)
    assert read(path, 1)[0].tolist() == [0, 0, 1, 1, 128, 254, 255]


def test_16_bits_and_orientation(tmp_path):
    (exif := Image.Exif())[0x0112] = 6
    stored = Image.fromarray(np.ascontiguousarray(np.rot90(GREY.astype(np.uint16) * 257, 1)))
    assert np.array_equal(read(saved(tmp_path, stored, exif=exif), 1), GREY)


@pytest.mark.parametrize("mode", ["F", "I"])
def test_32_bits_are_unreadable(tmp_path, mode):
    path = saved(tmp_path, Image.new(mode, (2, 2)), "a.tiff")
    with pytest.raises(UnreadableError, match="32 bits a value"):
        read_picture(path, 1)


@pytest.mark.parametrize("name", ["a.jpg", "a.tiff"])
def test_cmyk(tmp_path, name):
    picture = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    path = saved(tmp_path, picture, name)
    assert np.abs(read(path)[4, 4].astype(int) - [255, 0, 0]).max() <= 3
    assert np.abs(read(path, 1)[4, 4].astype(int) - 76) <= 3


def test_one_bit(tmp_path):
    picture = Image.fromarray(np.array([[True, False]]))
    assert read(saved(tmp_path, picture), 1)[0].tolist() == [255, 0]


@pytest.mark.parametrize("name", ["a.gif", "a.png", "a.webp", "a.tiff"])
def test_first_frame_of_an_animation(tmp_path, name):
    frames = [Image.new("L", (4, 4), value) for value in (10, 200)]
    more = {"lossless": True} if name.endswith("webp") else {}
    path = saved(tmp_path, frames[0], name, save_all=True, append_images=frames[1:], **more)
    assert read(path, 1)[0, 0] == 10


def test_truncated_files_are_unreadable(tmp_path):
    for name in ("a.png", "a.jpg", "a.webp", "a.gif", "a.bmp", "a.tiff"):
        noise = RNG.integers(0, 256, (40, 40, 3), np.uint8)
        path = saved(tmp_path, Image.fromarray(noise), name)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        with pytest.raises(UnreadableError):
            read_picture(path, 3)


@pytest.mark.parametrize("content", [b"", b"no picture", b"%!PS-Adobe-3.0 EPSF-3.0\n"])
def test_other_files_are_unreadable(tmp_path, content):
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(UnreadableError, match="not a picture"):
        read_picture(tmp_path / "a.png", 3)


def test_missing_file_and_folder_are_unreadable(tmp_path):
    for path in (tmp_path / "none.png", tmp_path):
        with pytest.raises(UnreadableError):
            read_picture(path, 3)


def test_decompression_bombs_are_unreadable(tmp_path, monkeypatch):
    path = saved(tmp_path, Image.new("L", (1, 1)), "bomb.bmp")
    header, data = path.read_bytes()[:18], path.read_bytes()[26:]
    for width, height in ((10_000, 10_000), (20_000, 10_000)):  # Pillow refuses the second itself.
        path.write_bytes(header + struct.pack("<ii", width, height) + data)
        with pytest.raises(UnreadableError, match="pixels"), without_warnings():
            read_picture(path, 1)
    monkeypatch.setattr(reading, "MAX_PIXELS", 34)
    path = saved(tmp_path, Image.fromarray(GREY))
    with pytest.raises(UnreadableError, match="7 x 5 pixels, more than 34"):
        read_picture(path, 1)


def test_limit_is_that_of_pillow():
    assert Image.MAX_IMAGE_PIXELS == reading.MAX_PIXELS


def test_folder_is_searched_for_picture_files(tmp_path):
    for name in ("b.PNG", "sub/a.jpeg", "notes.txt", ".hidden.png", ".git/x.png", "empty.png/x"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = [path.relative_to(tmp_path).as_posix() for path in picture_files(tmp_path)]
    assert found == ["b.PNG", "sub/a.jpeg"]


def test_folder_without_pictures_is_refused(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        picture_files(tmp_path / "none")
    with pytest.raises(InputError, match="no files"):
        picture_files(tmp_path)
    (tmp_path / "a.heic").touch()
    with pytest.raises(InputError, match=r"only files with \.heic"):
        picture_files(tmp_path)


def encoded(name, **options):
    file = io.BytesIO()
    Image.fromarray(COLOUR).save(file, name, **options)
    return file.getvalue()


(WITH_EXIF := Image.Exif())[0x0112] = 6


@pytest.mark.parametrize("name", ["PNG", "JPEG", "GIF", "TIFF", "WEBP", "BMP", "PPM"])
@FUZZ
@given(data=st.data())
def test_damaged_file_is_read_or_unreadable(tmp_path_factory, name, data):
    path = tmp_path_factory.mktemp("damaged") / "a.png"
    options = {"exif": WITH_EXIF} if name in ("PNG", "JPEG", "TIFF", "WEBP") else {}
    path.write_bytes(data.draw(mutated(encoded(name, **options))))
    with without_warnings():
        try:
            picture = read_picture(path, 3)
        except UnreadableError as error:
            assert str(error)
        else:
            assert picture.mode == "RGB"


pytestmark = FUZZ_TIMEOUT
