"""Accuracy, agreement and their report."""

import json
from pathlib import Path

import numpy as np
import pytest

from pipeline.config.input_section import InputSection
from pipeline.user_images import page
from pipeline.user_images.bundle_models import BundleModels
from pipeline.user_images.labels import Labels
from pipeline.user_images.score import score
from pipeline.user_images.score_report import LISTED_CLASSES, ScoreReport
from pipeline.user_images.scoring import NO_CLASS, Answers
from targets.bundle.verdict import wilson

FOLDER = Path("pictures")

SECTION = InputSection(shape=(1, 2, 2), mean=(0.0,), std=(1.0,))


def bundle(names=("cat", "dog", "cow")):
    return BundleModels({}, SECTION, list(names), len(names), "")


def answers(**classes):
    count = len(next(iter(classes.values())))
    return Answers(
        [FOLDER / f"{index}.png" for index in range(count)],
        {name: np.array(values) for name, values in classes.items()},
        {name: np.full(count, 0.5, np.float32) for name in classes},
        {FOLDER / "bad.png": "truncated"},
        2.0,
    )


def labels(**given):
    return Labels({f"{name[1:]}.png": index for name, index in given.items()}, "by class names")


def report(found, given):
    figures = score(found, FOLDER, given, bundle())
    return ScoreReport("b", FOLDER, found, given, figures, ["a note"])


def test_accuracy_counts_only_pictures_with_labels():
    found = score(
        answers(int8=[0, 1, 2, 2], fp32=[0, 1, 1, 2]), FOLDER, labels(_0=0, _1=0, _2=2), bundle()
    )
    assert (found.accuracy["int8"].count, found.accuracy["int8"].images) == (2, 3)
    assert found.accuracy["fp32"].share == pytest.approx(1 / 3)
    assert (found.accuracy["int8"].low, found.accuracy["int8"].high) == wilson(2, 3, 0.95)
    rows = {row.name: row for row in found.classes}
    assert rows.keys() == {"cat", "cow"}
    assert (rows["cat"].images, rows["cat"].accuracy) == (2, {"int8": 0.5, "fp32": 0.5})
    assert (rows["cow"].accuracy["fp32"], rows["cow"].agreement) == (0, 0)


def test_without_labels_int8_is_compared_with_fp32():
    found = score(answers(int8=[0, 1, 2], fp32=[0, 2, 2]), FOLDER, None, bundle())
    assert (found.reference, found.accuracy, found.differing) == ("fp32", {}, [1])
    assert found.agreement["int8"].count == 2
    assert [(row.name, row.images, row.agreement) for row in found.classes] == [
        ("cat", 1, 1.0),
        ("cow", 2, 0.5),
    ]


def test_teacher_is_the_reference_if_given():
    found = score(
        answers(int8=[0, 1, 2], fp32=[0, 2, 2], teacher=[0, 0, 2]), FOLDER, None, bundle()
    )
    assert (found.reference, found.differing) == ("teacher", [1])
    assert found.agreement.keys() == {"int8", "fp32"}


def test_model_without_an_answer_is_wrong_and_agrees_with_nothing():
    nothing = [NO_CLASS, NO_CLASS]
    found = score(answers(int8=nothing, fp32=nothing), FOLDER, labels(_0=0), bundle())
    assert found.accuracy["int8"].count == 0
    assert found.agreement["int8"].count == 0
    assert found.differing == [0, 1]


def test_report_names_what_was_left_out():
    given = Labels({"0.png": 0}, "by class names", ["gone.png"])
    made = report(answers(int8=[0, 1], fp32=[0, 2]), given)
    rows = dict(made.rows())
    assert rows["pictures"] == "2 in 2.0 s (1/s)"
    assert rows["note"] == "a note"
    assert rows["accuracy of int8"].startswith("100.00 %  [20.65, 100.00]  (1 of 1)")
    assert rows["agreement of int8 with fp32"].startswith("50.00 %")
    assert rows["unreadable"] == "1 (bad.png: truncated)"
    assert rows["without label"] == "1 (1.png)"
    assert rows["in the CSV file only"] == "1 (gone.png)"
    found = json.loads(json.dumps(made.as_json()))
    assert found["differing"] == ["1.png"]
    assert found["unreadable"] == {"bad.png": "truncated"}


def test_report_without_any_readable_labelled_picture_says_so():
    made = report(answers(int8=[0], fp32=[0]), Labels({"bad.png": 1}, "by class names"))
    assert dict(made.rows())["accuracy"] == "none: no picture that can be read has a label"


def test_table_has_the_worst_classes_first():
    count = LISTED_CLASSES + 5
    found = answers(int8=[*range(count - 1), 0], fp32=list(range(count)))
    figures = score(found, FOLDER, None, bundle([f"c{index}" for index in range(count)]))
    made = ScoreReport("b", FOLDER, found, None, figures, [])
    assert made.worst_classes()[0].name == f"c{count - 1}"
    assert made.class_table().row_count == LISTED_CLASSES
    assert f"the {LISTED_CLASSES} worst of {count}" in str(made.class_table().columns[0].header)


class TestPage:
    @pytest.fixture
    def made(self, tmp_path):
        """A report of 30 pictures that differ; one has a name like HTML, one was deleted."""
        rng = np.random.default_rng(0)
        files = [tmp_path / f"{index:02}.png" for index in range(30)]
        files[0] = tmp_path / "<b>&.png"
        from PIL import Image

        for path in files[:-1]:
            Image.fromarray(rng.integers(0, 256, (300, 200), np.uint8)).save(path)
        found = Answers(
            files,
            {"int8": np.zeros(30, np.int64), "fp32": np.ones(30, np.int64)},
            {"int8": np.full(30, 0.75, np.float32), "fp32": np.full(30, 0.5, np.float32)},
            {},
            1.0,
        )
        given = Labels({"<b>&.png": 2}, "by class names")
        figures = score(found, tmp_path, given, bundle())
        return ScoreReport("b", tmp_path, found, given, figures, [])

    def test_it_shows_every_picture_that_differs(self, made, tmp_path):
        page.write_page(tmp_path / "p.html", made, bundle())
        text = (tmp_path / "p.html").read_text()
        assert text.count('<img src="data:image/jpeg;base64,') == 29
        assert "29 of 30 are shown" in text
        assert "&lt;b&gt;&amp;.png<br>label: cow<br>int8: cat (75 %)<br>fp32: dog (50 %)" in text
        assert "<b>" not in text
        assert "<script" not in text
        assert "http" not in text
        assert [path.name for path in tmp_path.glob("*.part")] == []

    def test_its_size_is_limited(self, made, tmp_path, monkeypatch):
        monkeypatch.setattr(page, "MAX_THUMBNAIL_BYTES", 50_000)
        page.write_page(tmp_path / "p.html", made, bundle())
        text = (tmp_path / "p.html").read_text()
        assert 0 < text.count("<img") < 29
        assert len(text) < 60_000
