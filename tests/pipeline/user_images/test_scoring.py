"""Running models on files in batches."""

import numpy as np
import pytest
from PIL import Image

from base.errors import InputError
from pipeline.config.input_section import InputSection
from pipeline.training.progress import LineReporter
from pipeline.user_images import scoring
from pipeline.user_images.scoring import NO_CLASS, answer, read_batches, top_classes

SECTION = InputSection(shape=(1, 2, 2), mean=(0.0,), std=(1.0,))


def pictures(folder, count):
    paths = [folder / f"{index:03}.png" for index in range(count)]
    for index, path in enumerate(paths):
        Image.new("L", (2, 2), index % 256).save(path)
    return paths


def brightest(pixels):
    """A model with ten classes: the pixel's value modulo ten."""
    return np.eye(10, dtype=np.float32)[pixels[:, 0, 0, 0] % 10] * 3


def silent(_):
    raise AssertionError


@pytest.mark.parametrize("count", [1, 99, 100, 101, 230])
def test_answers_are_in_the_order_of_the_files(tmp_path, count):
    paths = pictures(tmp_path, count)
    sizes = []

    def model(pixels):
        sizes.append(len(pixels))
        return brightest(pixels)

    found = answer(paths, SECTION, {"int8": model}, LineReporter(silent))
    assert found.files == paths
    assert found.classes["int8"].tolist() == [index % 256 % 10 for index in range(count)]
    assert found.confidence["int8"] == pytest.approx(np.e**3 / (np.e**3 + 9))
    assert sum(sizes) == count
    assert max(sizes) <= 100


def test_unreadable_files_are_left_out_and_reported(tmp_path):
    paths = pictures(tmp_path, 150)
    for index in (0, 99, 149):
        paths[index].write_bytes(b"no picture")
    found = answer(paths, SECTION, {"int8": brightest}, LineReporter(silent))
    assert list(found.unreadable) == [paths[0], paths[99], paths[149]]
    assert found.classes["int8"].tolist() == [i % 10 for i in range(150) if i not in (0, 99, 149)]


def test_whole_batch_may_be_unreadable(tmp_path):
    paths = pictures(tmp_path, 120)
    for path in paths[:100]:
        path.write_bytes(b"")
    batches = list(read_batches(paths, SECTION))
    assert [len(batch.files) for batch in batches] == [0, 20]
    found = answer(paths, SECTION, {"int8": brightest}, LineReporter(silent))
    assert len(found.classes["int8"]) == 20


def test_none_readable_is_an_error(tmp_path):
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match="none of the 1 pictures can be read"):
        answer([tmp_path / "a.png"], SECTION, {"int8": brightest}, LineReporter(silent))


def test_progress_is_shown_only_in_long_runs(tmp_path, monkeypatch):
    lines = []
    monkeypatch.setattr(scoring, "QUIET_S", -1.0)
    answer(pictures(tmp_path, 150), SECTION, {"int8": brightest}, LineReporter(lines.append))
    assert lines[0] == "pictures 100/150"
    assert lines[-1].startswith("pictures 150/150")


def test_top_classes_are_sorted_by_probability():
    logits = np.log(np.array([[0.2, 0.5, 0.3], [0.6, 0.1, 0.3]], np.float32))
    classes, shares = top_classes(logits, 2)
    assert classes.tolist() == [[1, 2], [0, 2]]
    assert shares == pytest.approx(np.array([[0.5, 0.3], [0.6, 0.3]]))


def test_top_classes_of_equal_and_extreme_logits():
    classes, shares = top_classes(np.array([[1e30, 0, 0], [7, 7, 7]], np.float32), 5)
    assert classes.tolist() == [[0, 1, 2], [0, 1, 2]]
    assert shares[0].tolist() == [1, 0, 0]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_logits_that_are_not_finite_give_no_class(value):
    classes, shares = top_classes(np.array([[0, value], [0, 1]], np.float32), 1)
    assert classes.tolist() == [[NO_CLASS], [1]]
    assert shares[0] == 0
