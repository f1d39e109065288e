"""The classes of pictures from folders and CSV files."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from base.errors import InputError
from pipeline.user_images.labels import labels_by_folder, labels_of_csv
from tests.support.hostile_input import succeeds_or_raises_one_line

NAMES = ["cat", "Dog", "cow"]


def by_folder(folder, tops, class_names, classes=3):
    for top in tops:
        (folder / top).mkdir()
    return labels_by_folder([f"{top}/x.png" for top in tops], folder, class_names, classes)


class TestByFolder:
    def test_class_names_in_any_case(self, tmp_path):
        found = by_folder(tmp_path, ["CAT", "dog"], NAMES)
        assert found.classes == {"CAT/x.png": 0, "dog/x.png": 1}
        assert found.mapping == "by class names"

    def test_exact_name_goes_before_other_case(self, tmp_path):
        assert by_folder(tmp_path, ["us"], ["US", "us", "x"]).classes == {"us/x.png": 1}

    def test_class_names_go_before_numbers(self, tmp_path):
        assert by_folder(tmp_path, ["1", "2"], ["2", "1", "0"]).classes == {
            "1/x.png": 1,
            "2/x.png": 0,
        }

    @pytest.mark.parametrize("class_names", [[], NAMES])
    def test_numbers(self, tmp_path, class_names):
        found = by_folder(tmp_path, ["02", "0"], class_names)
        assert found.classes == {"02/x.png": 2, "0/x.png": 0}
        assert found.mapping == "by class numbers, from 0"

    def test_as_many_folders_as_classes_are_sorted(self, tmp_path):
        (tmp_path / ".cache").mkdir()
        (tmp_path / "n03").mkdir()  # Without pictures, but a class.
        found = by_folder(tmp_path, ["n05", "n01"], NAMES)
        assert found.classes == {"n05/x.png": 2, "n01/x.png": 0}
        assert found.mapping == "the 3 folders in sorted order are classes 0 to 2"

    def test_subfolders_belong_to_the_first_folder(self, tmp_path):
        found = labels_by_folder(["cat/a/b/x.png", "y.png"], tmp_path, NAMES, 3)
        assert found.classes == {"cat/a/b/x.png": 0}

    @pytest.mark.parametrize(
        ("tops", "class_names", "message"),
        [
            (["cat", "dgo"], NAMES, "folder 'dgo' is not the name of exactly one class"),
            (["cat", "dgo"], NAMES, "did you mean 'Dog'"),
            (["a", "b"], [], "folder 'a' is not a number from 0 to 2"),
            # Sorted order would make 1, 10 and 2 the classes 0, 1 and 2.
            (["1", "2", "10"], [], "folder '10' is not a number from 0 to 2"),
            (["cat", "1"], NAMES, "folder '1' is not the name"),
            (["crane"], ["crane", "crane", "x"], "not the name of exactly one class"),
        ],
    )
    def test_other_folders_are_refused(self, tmp_path, tops, class_names, message):
        with pytest.raises(InputError) as caught:
            by_folder(tmp_path, tops, class_names)
        assert message in str(caught.value)

    def test_folder_without_subfolders_is_refused(self, tmp_path):
        with pytest.raises(InputError, match="no subfolders with pictures"):
            labels_by_folder(["a.png"], tmp_path, NAMES, 3)


def of_csv(folder, text, class_names=NAMES, names=("a.png", "s/b.png")):
    (folder / "labels.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    return labels_of_csv(folder / "labels.csv", names, class_names, 3)


class TestCsv:
    @pytest.mark.parametrize(
        "header", ["", "file,label\n", "File, Label\r\n", "\ufefffile,label\n"]
    )
    def test_header_is_optional(self, tmp_path, header):
        found = of_csv(tmp_path, f"{header}a.png,cow\n\ns/b.png , DOG\n")
        assert found.classes == {"a.png": 2, "s/b.png": 1}
        assert found.mapping == "by class names"

    def test_numbers_and_paths_of_other_systems(self, tmp_path):
        found = of_csv(tmp_path, "./a.png,1\ns\\b.png,2\n")
        assert found.classes == {"a.png": 1, "s/b.png": 2}

    def test_file_that_is_not_in_the_folder_is_reported(self, tmp_path):
        found = of_csv(tmp_path, 'a.png,1\n"gone, too.png",2\n')
        assert found.classes == {"a.png": 1}
        assert found.without_file == ["gone, too.png"]

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("a.png,catt\n", "label 'catt' is not the name of exactly one class"),
            ("a.png,3\n", "or a number from 0 to 2"),
            ("a.png,1\ns/b.png,cat\n", "label '1' is not the name"),
            ("a.png,-1\n", "label '-1'"),
            ("a.png\n", "has 1 columns"),
            ("a.png,1,2\n", "has 3 columns"),
            ("", "has no rows"),
            ("file,label\n", "has no rows"),
            ("a.png,1\na.png,2\n", "has the labels '1' and '2'"),
            ("x.png,1\n", "none of its 1 files"),
            (b"\xff\xfe\x00a", "not a CSV file in UTF-8"),
        ],
    )
    def test_wrong_files_are_refused(self, tmp_path, text, message):
        with pytest.raises(InputError) as caught:
            of_csv(tmp_path, text)
        assert message in str(caught.value)

    def test_missing_file_is_refused(self, tmp_path):
        with pytest.raises(InputError, match=r"by-folder or a CSV file"):
            labels_of_csv(tmp_path / "by-folders", ["a.png"], NAMES, 3)

    @given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
    def test_any_bytes_succeed_or_are_refused_in_one_line(self, tmp_path_factory, content):
        folder = tmp_path_factory.mktemp("csv")
        succeeds_or_raises_one_line(lambda: of_csv(folder, content))
