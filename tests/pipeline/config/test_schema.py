import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from base.errors import InputError
from pipeline.config.recipe_checks import check_recipes
from pipeline.config.run_file import parse_run, read_run_file
from pipeline.config.run_overrides import RunOverrides
from pipeline.config.sections import Budget
from tests.support.quick_run import EXAMPLE, QUICK, write_run


def changed(**sections):
    return {**copy.deepcopy(QUICK), **sections}


def error_of(document):
    with pytest.raises(InputError) as caught:
        check_recipes(parse_run(document, "run.yaml"))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_weights_of_the_example_are_found_beside_its_run_file():
    config = read_run_file(EXAMPLE / "run.yaml")
    assert config.teacher.weights == str(EXAMPLE / "teacher.safetensors")


def test_overrides_replace_values_of_the_run_file(tmp_path):
    distill = {**QUICK["distill"], "recipe": "dafl", "overrides": {"batch": 32}}
    run_file = write_run(tmp_path, distill=distill)
    changes = RunOverrides("/else/t.safetensors", "lenet5", "nayer", ("local-cpu", "thor"), 7, 3)
    config = read_run_file(run_file, changes)
    assert config.teacher.weights == "/else/t.safetensors"
    assert config.teacher.architecture == "lenet5"
    assert config.student.architecture == "lenet5"
    assert (config.distill.recipe, config.distill.overrides) == ("nayer", {})
    assert (config.distill.budget.steps, config.seed) == (7, 3)
    assert config.targets == ("local-cpu", "thor")
    assert read_run_file(run_file, RunOverrides(student="same")).student == "same"
    assert read_run_file(run_file, RunOverrides()) == read_run_file(run_file)
    assert read_run_file(run_file, RunOverrides(budget=7)).distill.overrides == {"batch": 32}


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        (RunOverrides(recipe="dafl", budget=7, seed=3, teacher="t.pt"), "quick"),
        (RunOverrides(targets=("local-cpu",)), "quick"),
        (RunOverrides(student="lenet5-half"), "quick"),
        (RunOverrides(student="same"), "quick.same"),
        (RunOverrides(targets=("local-cpu", "thor@Lab")), "quick.thor-lab"),
        (RunOverrides(student="my.nets:Tiny", targets=("arm",)), "quick.my.nets-tiny.arm"),
    ],
)
def test_other_student_or_targets_change_the_name(tmp_path, changes, name):
    """Otherwise one bundle would replace another."""
    assert read_run_file(write_run(tmp_path), changes).name == name


def test_name_when_only_this_cpu_is_left_as_target(tmp_path):
    run_file = write_run(tmp_path, targets=["local-cpu", "thor"])
    assert read_run_file(run_file, RunOverrides(targets=("local-cpu",))).name == "quick.local-cpu"


def test_values_that_overrides_drop_are_reported(tmp_path):
    student = {"architecture": "lenet5-half", "width": 2.0}
    run_file = write_run(tmp_path, distill={"overrides": {"batch": 32}}, student=student)
    lines = []
    read_run_file(run_file, RunOverrides(seed=3, teacher="t.pt", budget=7), lines.append)
    read_run_file(run_file, RunOverrides(student="same", recipe="dafl"), lines.append)
    assert lines == [
        "recipe dafl: distill.overrides of the run file (batch: 32) are not used",
        "student same: the run file's other keys of student (width: 2.0) are not used",
    ]
    lines.clear()
    run_file = write_run(tmp_path, distill={"budget": {"images": 500}})
    read_run_file(run_file, RunOverrides(budget=7, recipe="dafl", student="lenet5"), lines.append)
    assert lines == ["budget 7: distill.budget of the run file (images: 500) is not used"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (RunOverrides(student="lenet", targets=()), "targets"),
        (RunOverrides(budget=-1), "distill.budget.steps"),
        (RunOverrides(seed=-1), "seed"),
    ],
)
def test_overrides_are_checked(tmp_path, changes, message):
    with pytest.raises(InputError, match=message):
        read_run_file(write_run(tmp_path), changes)


def images(**changes):
    return {**QUICK["input"], **changes}


@pytest.mark.parametrize(
    "section",
    [
        images(mean=[0], std=[1]),
        images(mean=[0], std=[1], value_range=[-1, 1]),
        images(mean=[0], std=[1], value_range=[16, 235]),  # Not normalized at all.
        images(mean=[0], std=[1], value_range=[0, 255]),
        images(mean=[127.5], std=[128], value_range=[0, 255]),
        images(mean=[1.009], std=[10]),
    ],
    ids=str,
)
def test_usual_normalizations_are_accepted(section):
    assert parse_run(changed(input=section), "run.yaml").input.mean == tuple(section["mean"])


@pytest.mark.parametrize(
    ("document", "key", "nearest"),
    [
        (changed(techer={}), "techer", "teacher"),
        (changed(gate={"agrement": 0.9}), "agrement", "agreement"),
        (changed(student={"architecture": "lenet5", "widht": 1}), "widht", "width"),
        (changed(distill={"budget": {"stepps": 1}}), "stepps", "steps"),
    ],
)
def test_unknown_key_is_named_with_the_nearest_known_one(document, key, nearest):
    line = error_of(document)
    assert repr(key) in line
    assert repr(nearest) in line


@pytest.mark.parametrize(
    ("section", "value", "message"),
    [
        ("distill", {"recipe": "hous"}, "did you mean 'house'"),
        ("distill", {"overrides": {"bach": 3}}, "did you mean 'batch'"),
        ("distill", {"budget": {}}, "either steps or images"),
        ("distill", {"budget": {"steps": 3, "images": 3}}, "either steps or images"),
        ("quantize", {"overrides": {"memory": 1}}, "smaller than a batch"),
        (
            "quantize",
            {"overrides": {"width": 8}},
            "width has no effect: quantizing continues with the generator",
        ),
        ("gate", {"images": 100}, "2000"),
        ("gate", {"agreement": 1.5}, "gate.agreement"),
        ("input", {"shape": [1, 32, 32], "mean": [0.1, 0.2], "std": [0.3]}, "mean has 2 values"),
        ("input", {"shape": [1, 32, 32], "mean": [0.1], "std": [0.0]}, "input.std.0"),
        ("input", images(mean=[1.02]), "mean 1.02 is outside value_range [0, 1]; give mean, std"),
        ("input", images(mean=[-0.02]), "mean -0.02 is outside value_range [0, 1]"),
        (
            "input",
            images(mean=[0.5], std=[10.1]),
            "nearly constant: value_range [0, 1] is only 0.0",
        ),
        ("targets", [], "targets"),
        ("student", "other", "student"),
        ("student", {"architecture": "lenet5", "start": "same"}, "student.start: Input"),
        ("name", "../escape", "name"),
        ("seed", -1, "seed"),
        ("device", "tpu", "device"),
    ],
)
def test_invalid_value_is_an_input_error_with_the_reason(section, value, message):
    assert message in error_of(changed(**{section: value}))


@pytest.mark.parametrize("count", [2**60, 10**13])
@pytest.mark.parametrize(
    "key",
    [
        "teacher.classes",
        "teacher.width",
        "student.width",
        "distill.budget.steps",
        "distill.budget.images",
        "distill.overrides.batch",
        "quantize.budget.steps",
        "quantize.overrides.memory",
        "quantize.calibration_images",
        "export.batch",
        "gate.images",
        "gate.generators",
        "gate.rounds",
        "seed",
    ],
)
def test_too_large_a_count_is_named(key, count):
    document = copy.deepcopy(QUICK)
    *sections, name = key.split(".")
    part = document
    for section in sections:
        part = part.setdefault(section, {})
    if sections[-1:] == ["budget"]:
        part.clear()
    part[name] = count
    assert f"run.yaml: {key}: Input should be less than" in error_of(document)


@pytest.mark.parametrize(
    ("key", "sections"),
    [
        ("gate.images", {"gate": {"images": 1_000_000}, "classes": 1_000}),
        ("quantize.calibration_images", {"quantize": {"calibration_images": 100_000}}),
        ("distill.overrides.batch", {"distill": {"overrides": {"batch": 100_000}}}),
        ("quantize.overrides.batch", {"quantize": {"overrides": {"batch": 100_000}}}),
        ("gate.images", {"side": 2**40}),
    ],
)
def test_images_that_would_fill_the_memory_are_named(key, sections):
    side, classes = sections.pop("side", 224), sections.pop("classes", 10)
    teacher = {**QUICK["teacher"], "classes": classes}
    images = {"shape": [3, side, side], "mean": [0.5] * 3, "std": [0.5] * 3}
    line = error_of(changed(teacher=teacher, input=images, **sections))
    assert f"{key}: so many images of shape [3, {side}, {side}]" in line


def test_usual_sizes_are_accepted():
    """Images of 512 by 512 pixels, and 500,000 small probes."""
    large = {"shape": [3, 512, 512], "mean": [0.5] * 3, "std": [0.5] * 3}
    assert parse_run(changed(input=large), "run.yaml")
    assert parse_run(changed(gate={"images": 500_000}), "run.yaml")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("key", ["mean", "std", "value_range"])
def test_number_that_is_not_finite_is_an_input_error(key, value):
    images = {**QUICK["input"], key: [value, value] if key == "value_range" else [value]}
    assert f"input.{key}" in error_of(changed(input=images))


def test_password_in_the_run_files_url_is_an_input_error():
    with pytest.raises(InputError, match="run file: its URL contains a password"):
        read_run_file("sftp://user:secret@host/run.yaml")


def test_wrong_number_of_class_names_is_an_input_error():
    teacher = {**QUICK["teacher"], "class_names": ["zero", "one"]}
    assert "2 class_names for 10 classes" in error_of(changed(teacher=teacher))


@given(st.integers(0, 10**6), st.integers(1, 512))
def test_budget_in_images_is_rounded_up_to_whole_batches(images, batch):
    steps = Budget(images=images).student_steps(batch)
    assert steps * batch >= images
    assert (steps - 1) * batch < images
    assert Budget(steps=steps).student_steps(batch) == steps


@pytest.mark.parametrize("content", ["[1, 2", "- a list", "\x00", "just text"])
def test_file_that_is_not_a_run_file_is_an_input_error(tmp_path, content):
    path = tmp_path / "run.yaml"
    path.write_text(content)
    with pytest.raises(InputError, match=r"run\.yaml") as caught:
        read_run_file(path)
    assert "\n" not in str(caught.value)


def test_missing_run_file_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match="No such file"):
        read_run_file(tmp_path / "none.yaml")
