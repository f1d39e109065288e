"""The classes of pictures, from their folders or from a CSV file."""

import csv
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from base.errors import InputError
from base.suggest import did_you_mean
from base.untrusted_files import PARSE_ERRORS

BY_FOLDER = "by-folder"

MAX_CSV_BYTES = 1 << 30


@dataclass(frozen=True)
class Labels:
    """The classes of pictures.

    Attributes:
        classes: The class of each picture that has one, by its path relative to the folder.
        mapping: How folders or labels were mapped to classes, for the user.
        without_file: Names in the CSV file that are not in the folder.
    """

    classes: dict[str, int]
    mapping: str
    without_file: list[str] = field(default_factory=list)


def labels_by_folder(
    names: Iterable[str], folder: Path, class_names: list[str], classes: int
) -> Labels:
    """Return the classes of pictures in FOLDER/CLASS/...; pictures beside those have none.

    The names of the folders are names of classes (in upper or lower case), or numbers of classes,
    or, if there are as many folders as classes, sorted as the classes are.

    Args:
        names: Paths of the pictures, relative to `folder`.
        folder: The folder.
        class_names: The names of the classes in order, or [].
        classes: The number of classes.

    Raises:
        InputError: If the folders cannot be mapped to classes.
    """
    tops = {name: name.split("/")[0] for name in names if "/" in name}
    used = sorted(set(tops.values()))
    if not used:
        raise InputError(
            f"--labels {BY_FOLDER}: {folder} has no subfolders with pictures; "
            "put the pictures of each class into a folder of its own"
        )
    found = _by_names(used, class_names) or _by_numbers(used, classes)
    if found is None:
        present = sorted(
            path.name for path in folder.iterdir() if path.is_dir() and path.name[0] != "."
        )
        if len(present) != classes or all(map(_is_number, present)):
            wrong = _first_wrong(used, class_names, classes)
            raise InputError(
                f"--labels {BY_FOLDER}: folder {wrong!r} {_expected(class_names, classes)}, and "
                f"{len(present)} folders are not {classes} classes in sorted order; rename it or "
                f"give a CSV file{did_you_mean(wrong, class_names)}"
            )
        table = {name: index for index, name in enumerate(present)}
        found = table, f"the {classes} folders in sorted order are classes 0 to {classes - 1}"
    table, mapping = found
    return Labels({name: table[top] for name, top in tops.items()}, mapping)


def labels_of_csv(path: Path, names: Iterable[str], class_names: list[str], classes: int) -> Labels:
    """Return the classes in a CSV file with the columns file and label; a header is optional.

    All labels are names of classes (in upper or lower case), or all are numbers of classes.

    Args:
        path: The CSV file.
        names: Paths of the pictures, relative to their folder.
        class_names: The names of the classes in order, or [].
        classes: The number of classes.

    Raises:
        InputError: If the file cannot be read, or a label is no class.
    """
    rows = _rows(path)
    labels = sorted(set(rows.values()))
    found = _by_names(labels, class_names) or _by_numbers(labels, classes)
    if found is None:
        wrong = _first_wrong(labels, class_names, classes)
        raise InputError(
            f"--labels {path}: label {wrong!r} {_expected(class_names, classes)}"
            f"{did_you_mean(wrong, class_names)}"
        )
    table, mapping = found
    known = set(names)
    missing = [name for name in rows if name not in known]
    if len(missing) == len(rows):
        raise InputError(
            f"--labels {path}: none of its {len(rows)} files is among the pictures (the first is "
            f"{missing[0]!r}); write paths relative to the folder of --images"
        )
    return Labels(
        {name: table[label] for name, label in rows.items() if name in known}, mapping, missing
    )


def _rows(path: Path) -> dict[str, str]:
    """Return the label of each file in a CSV file."""
    try:
        if path.stat().st_size > MAX_CSV_BYTES:
            raise InputError(f"--labels {path}: more than {MAX_CSV_BYTES:,} bytes; split it")
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = [row for row in csv.reader(file) if row]
    except OSError as error:
        raise InputError(
            f"--labels {path}: cannot be read ({error.strerror}); "
            f"give {BY_FOLDER} or a CSV file with the columns file,label"
        ) from None
    except (csv.Error, *PARSE_ERRORS) as error:
        raise InputError(f"--labels {path}: not a CSV file in UTF-8 ({error})") from None
    if lines and [cell.strip().lower() for cell in lines[0]] == ["file", "label"]:
        del lines[0]
    if not lines:
        raise InputError(
            f"--labels {path}: has no rows; write one line FILE,LABEL for each picture"
        )
    rows: dict[str, str] = {}
    for row in lines:
        if len(row) != 2:
            raise InputError(
                f"--labels {path}: {','.join(row)[:80]!r} has {len(row)} columns; "
                "write the two columns file,label"
            )
        name, label = row[0].strip().replace("\\", "/").removeprefix("./"), row[1].strip()
        if rows.setdefault(name, label) != label:
            raise InputError(
                f"--labels {path}: {name!r} has the labels {rows[name]!r} and {label!r}; keep one"
            )
    return rows


Mapped = tuple[dict[str, int], str]


def _by_names(words: list[str], class_names: list[str]) -> Mapped | None:
    """Return the class of each word, or None unless each is the name of exactly one class."""
    exact, any_case = dict[str, list[int]](), dict[str, list[int]]()
    for index, name in enumerate(class_names):
        exact.setdefault(name, []).append(index)
        any_case.setdefault(name.lower(), []).append(index)
    table = {}
    for word in words:
        found = exact.get(word) or any_case.get(word.lower(), [])
        if len(found) != 1:
            return None
        table[word] = found[0]
    return table, "by class names"


def _by_numbers(words: list[str], classes: int) -> Mapped | None:
    """Return the class of each word, or None unless each is the number of a class."""
    if not all(_is_number(word) and int(word) < classes for word in words):
        return None
    return {word: int(word) for word in words}, "by class numbers, from 0"


def _is_number(word: str) -> bool:
    return word.isascii() and word.isdigit() and len(word) < 10


def _first_wrong(words: list[str], class_names: list[str], classes: int) -> str:
    """Return the first word that is no class; if all are, the first that is not a class name."""
    not_names = [word for word in words if _by_names([word], class_names) is None]
    neither = [word for word in not_names if _by_numbers([word], classes) is None]
    return (neither or not_names)[0]


def _expected(class_names: list[str], classes: int) -> str:
    numbers = f"a number from 0 to {classes - 1}, as all others"
    if not class_names:
        return f"is not {numbers}"
    return f"is not the name of exactly one class, or {numbers}"
