"""Every method of quantization, run through the chain."""

import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from base.errors import InputError
from dfkd.composition import PixelOptimization
from dfkd.models import build
from dfkd.recipes import RECIPES
from dfkd.recipes.gdfq import GDFQ
from dfkd.recipes.house_quantize import HOUSE_QUANTIZE
from dfkd.recipes.zeroq import ZEROQ
from dfkd.terms import ADVERSARIES
from dfkd.training.budget import Plan
from dfkd.training.loop import build_generator
from pipeline.chain import add_artifacts, chain, run_chain, run_step
from pipeline.config import chosen_recipes
from pipeline.config.chosen_recipes import (
    adjusts,
    fine_tuning_recipe,
    frozen_generator_recipe,
    keeps_generator,
    warm_up_recipe,
)
from pipeline.config.recipe_checks import check_recipes
from pipeline.config.run_file import read_run_file
from pipeline.quantization.calibration import draw_comparison_images
from pipeline.quantization.fake_quantizers import restore
from pipeline.roles import GENERATOR
from pipeline.run import check_run, execute
from pipeline.store.store import Store
from pipeline.teachers.networks import image_spec
from tests.pipeline.test_chain import Silent
from tests.support.quick_run import QUICK, ROOT, write_run
from tests.support.tiny import make_loop, shrunk
from tests.support.tiny import weights as weights_of

WITH_BATCH_NORM = {
    "weights": str(ROOT / "benchmarks/teachers/lenet5-bn/teacher.safetensors"),
    "architecture": "lenet5-bn",
    "classes": 10,
}
FOUR_BITS = {"weight_bits": 4, "activation_bits": 4}
SHORT = {"batch": 8, "width": 8, "latent": 16, "warmup_rounds": 2}


def run_until(last, folder, store, *, teacher=None, student="same", **quantize):
    """Run the steps up to one of them. Return their records."""
    changes = {"teacher": teacher} if teacher else {}
    section = {**QUICK["quantize"], **FOUR_BITS, **quantize}
    config = read_run_file(write_run(folder, student=student, quantize=section, **changes))
    records, artifacts, store = {}, {}, Store(str(store))
    for step in chain(config):
        records[step.label] = run_step(step, config, artifacts, store, Silent())
        artifacts = add_artifacts(artifacts, step, records[step.label], config)
        if step.name == last:
            break
    return records


def quantized(folder, store, **changes):
    """Run the steps up to `quantize`. Return their records and the quantized tensors."""
    records = run_until("quantize", folder, store, **changes)
    file = Store(str(store)).get(records["quantize"].artifacts["quantized"], folder)
    return records, load_file(file)


def weights(tensors):
    named = {name.removeprefix("network."): t for name, t in tensors.items()}
    return {name: t for name, t in named.items() if name.endswith(".weight")}


def same(ours, theirs):
    return all(ours[name].equal(theirs[name]) for name in ours)


@pytest.fixture(scope="module")
def only_calibrated(tmp_path_factory, quick_store):
    return quantized(tmp_path_factory.mktemp("noise"), quick_store, method="noise")


def test_noise_needs_no_generator_and_changes_no_weight(only_calibrated):
    records, tensors = only_calibrated
    assert "fresh_generator" not in records
    assert "fine-tuning" not in records["quantize"].notes
    teacher = load_file(ROOT / "examples/mnist_lenet5/teacher.safetensors")
    assert same(weights(tensors), teacher)


def test_generator_images_change_only_the_ranges(only_calibrated, tmp_path, quick_store):
    records, tensors = quantized(tmp_path, quick_store, method="generator-images", adjust="off")
    assert "adjustments" not in records["quantize"].notes
    assert "fresh_generator" in records
    assert "fine-tuning" not in records["quantize"].notes
    assert same(weights(tensors), weights(only_calibrated[1]))
    assert not same(tensors, only_calibrated[1])


@pytest.mark.parametrize("bits", [8, 4])
def test_adjusted_student_is_restored_with_the_recorded_error(tmp_path, quick_store, bits):
    """The run's own reader restores the network; its error is that in the notes."""
    section = {"weight_bits": bits, "activation_bits": bits, "method": "generator-images"}
    records, tensors = quantized(tmp_path, quick_store, teacher=WITH_BATCH_NORM, **section)
    config, store = read_run_file(tmp_path / "run.yaml"), Store(str(quick_store))
    notes = records["quantize"].notes["adjustments"]
    assert notes["images"] == 256
    trials = list(notes["tried"].values())
    assert len(trials) == 3
    recipe = fine_tuning_recipe(config)
    generator = build_generator(recipe, image_spec(config.input), 10)
    made = records["fresh_generator"].artifacts
    (artifact,) = made.values()
    generator.load_state_dict(load_file(store.get(artifact, tmp_path)))
    images = draw_comparison_images(generator, config)
    student = build("lenet5-bn", image_spec(config.input), 10).eval()
    student.load_state_dict(load_file(WITH_BATCH_NORM["weights"]))
    places = json.loads(
        store.get(records["quantize"].artifacts["quantizers"], tmp_path).read_text()
    )
    restored = restore(student, images[:2], places, tensors)
    with torch.no_grad():
        error = (restored(images).double() - student(images).double()).square().mean().item()
    least = min([notes["error"], *(trial["error"] for trial in trials if trial["kept"])])
    # At 8 bits, biases are rounded after the comparison.
    assert error == pytest.approx(least, rel=1e-4 if bits < 8 else 0.1)


@pytest.mark.parametrize(
    ("changes", "adjusted"),
    [
        ({}, True),
        ({"weight_bits": 4}, True),
        ({"method": "frozen"}, True),
        ({"method": "fresh"}, True),
        ({"method": "generator-images"}, True),
        ({"adjust": "off"}, False),
        ({"adjust": False}, False),  # What YAML makes of an unquoted off.
        ({"method": "noise"}, False),
        ({"method": "batch-norm-images"}, False),
        ({"recipe": "gdfq"}, False),
        ({"recipe": "adadfq", "weight_bits": 4}, False),
    ],
)
def test_adjustments_need_a_generator_and_no_published_recipe(tmp_path, changes, adjusted):
    config = read_run_file(write_run(tmp_path, quantize=changes))
    assert adjusts(config) == adjusted


@pytest.mark.parametrize(
    ("bits", "recipe", "moved"),
    [
        (4, "house-quantize", True),
        pytest.param(8, "house-quantize", False, marks=pytest.mark.slow),
        pytest.param(4, "gdfq", False, marks=pytest.mark.slow),
    ],
)
def test_ranges_are_trained_only_below_8_bits_with_adam(tmp_path, quick_store, bits, recipe, moved):
    """Ten steps of Adam, from ranges calibrated with the same generator."""
    ranges = {}
    section = {"recipe": recipe, "overrides": SHORT, "budget": {"steps": 10}, "weight_bits": bits}
    for method in ("generator-images", "adversarial"):
        (tmp_path / method).mkdir()
        _, tensors = quantized(
            tmp_path / method,
            quick_store,
            teacher=WITH_BATCH_NORM,
            method=method,
            activation_bits=bits,
            **section,
        )
        ranges[method] = {n: t.log() for n, t in tensors.items() if n.endswith(".scale")}
    before, after = ranges.values()
    assert before
    shares = [(after[name] - before[name]).abs().max().item() for name in before]
    assert (max(shares) > 0.02) == moved, shares


def test_batch_norm_images_run_no_fine_tuning(tmp_path, monkeypatch):
    # In a store of its own: the records of these images must not be reused.
    few_steps = replace(ZEROQ, synthesizer=PixelOptimization(steps=5))
    monkeypatch.setattr(chosen_recipes, "ZEROQ", few_steps)
    records, _ = quantized(
        tmp_path, tmp_path / "store", teacher=WITH_BATCH_NORM, method="batch-norm-images"
    )
    notes = records["quantize"].notes
    assert notes["images"]["cost"]["images"] == 64
    assert "fine-tuning" not in notes


def test_batch_norm_images_need_batch_norm(tmp_path):
    section = {"method": "batch-norm-images"}
    config = read_run_file(write_run(tmp_path, quantize=section))
    with pytest.raises(InputError, match="zeroq needs batch norm"):
        check_run(config, tmp_path / "bundle")


@pytest.mark.parametrize("student", ["same", QUICK["student"]])
@pytest.mark.parametrize("method", ["noise", "batch-norm-images", "generator-images", "frozen"])
def test_override_without_effect_is_an_input_error(tmp_path, method, student):
    """With `student: same`, a warm-up trains the generator that makes the images."""
    section = {"method": method, "overrides": {"warmup_rounds": 3, "batch": 64}}
    changes = {"quantize": section, "student": student, "teacher": WITH_BATCH_NORM}
    config = read_run_file(write_run(tmp_path, **changes))
    if method == "frozen" or (method == "generator-images" and student == "same"):
        check_recipes(config)
        return
    with pytest.raises(InputError, match=f"overrides: batch has no effect: method {method} only"):
        check_recipes(config)


@pytest.mark.parametrize("method", ["adversarial", "frozen"])
def test_generator_of_the_distillation_is_used_again(tmp_path, quick_store, method):
    student = QUICK["student"]
    records, _ = quantized(tmp_path, quick_store, student=student, method=method)
    assert "fresh_generator" not in records
    notes = records["quantize"].notes["fine-tuning"]
    made = notes["cost"]["teacher_passes"] - notes["cost"]["images"]
    assert (made > 0) == (method == "adversarial"), notes["curve"]
    assert notes["cost"]["student_steps"] >= 10


def test_fresh_generator_is_trained_first(tmp_path, quick_store):
    records, _ = quantized(tmp_path, quick_store, student=QUICK["student"], method="fresh")
    rounds = QUICK["quantize"]["overrides"]["warmup_rounds"]
    assert records["fresh_generator"].notes["cost"]["images"] == rounds * 32
    config = read_run_file(tmp_path / "run.yaml")
    step = next(step for step in chain(config) if step.name == "quantize")
    assert GENERATOR not in step.needs(config, "")


def test_methods_share_the_fresh_generator(tmp_path):
    """Overrides that the warm-up does not use do not repeat it."""

    def generator(**section):
        records = run_until("fresh_generator", tmp_path, tmp_path / "store", **section)
        return records["fresh_generator"]

    overrides = {**SHORT, "stages": 1.0, "student_lr": 1e-3, "student_steps": 5, "memory": 64}
    first = generator(method="generator-images", overrides=SHORT)
    assert not first.notes["reused"]
    for section in (
        {"method": "frozen", "overrides": overrides},
        {"method": "adversarial", "overrides": SHORT, "budget": {"steps": 3}, "weight_bits": 8},
    ):
        again = generator(**section)
        assert again.notes["reused"]
        assert again.artifacts == first.artifacts
    for changed in ({"warmup_rounds": 3}, {"class-balance": 1.0}, {"generator_lr": 1e-4}):
        section = {"method": "generator-images", "overrides": {**SHORT, **changed}}
        assert generator(**section).artifacts != first.artifacts


@pytest.mark.parametrize("name", [name for name, one in RECIPES.items() if keeps_generator(one)])
def test_warm_up_recipe_trains_the_same_generator_as_the_recipe(name):
    recipe = RECIPES[name]
    alone = warm_up_recipe(recipe)
    # If every term needs a student, there is no warm-up.
    rounds = 0 if {term.name for term in recipe.terms} <= ADVERSARIES else 2
    assert warm_up_recipe(alone) == alone
    generators = []
    for one in (recipe, alone):
        small = shrunk(one)
        torch.manual_seed(0)
        loop = make_loop(small, Plan(rounds, 0), student=None)
        loop.run()
        generators.append(weights_of(loop.generator))
    assert torch.equal(*generators)


def test_float_student_can_replace_the_teacher_in_fine_tuning(tmp_path, quick_store):
    student, tensors = QUICK["student"], {}
    for teacher in ("original", "student"):
        folder = tmp_path / teacher
        folder.mkdir()
        section = {**QUICK["quantize"], **FOUR_BITS, "teacher": teacher}
        config = read_run_file(write_run(folder, student=student, quantize=section))
        record = run_chain(config, Store(str(quick_store)), Silent())["quantize"]
        path = Store(str(quick_store)).get(record.artifacts["quantized"], folder)
        tensors[teacher] = load_file(path)
    assert not same(tensors["original"], tensors["student"])


def test_fine_tuning_uses_the_terms_of_its_recipe(tmp_path, quick_store):
    records, _ = quantized(
        tmp_path,
        quick_store,
        teacher=WITH_BATCH_NORM,
        recipe="gdfq",
        overrides=SHORT,
        budget={"steps": 3},
    )
    assert records["quantize"].notes["fine-tuning"]["terms"] == [term.name for term in GDFQ.terms]


@pytest.mark.parametrize("recipe", [HOUSE_QUANTIZE, GDFQ], ids=lambda recipe: recipe.name)
def test_frozen_generator_recipe_has_no_adversarial_term(recipe):
    frozen = frozen_generator_recipe(recipe)
    assert frozen.schedule.generator_steps == 0
    assert not {term.name for term in frozen.terms} & ADVERSARIES


def test_below_8_bits_the_bundle_has_only_torch_files(tmp_path, quick_store):
    section = {**FOUR_BITS, "method": "noise"}
    config = read_run_file(write_run(tmp_path, student="same", quantize=section))
    manifest = execute(config, Store(str(quick_store)), tmp_path / "bundle", Silent())
    assert manifest["verdict"] is None
    assert manifest["targets"] == {}
    assert set(manifest["files"]) == {"torch/quantized.safetensors", "torch/quantized.json"}
    places = json.loads((tmp_path / "bundle/torch/quantized.json").read_text())
    assert places


def test_command_line_reports_that_nothing_is_exported_below_8_bits(tmp_path, quick_store):
    from tests.support.command_line import run_process

    section = {**FOUR_BITS, "method": "noise"}
    run_file = write_run(tmp_path, student="same", quantize=section)
    code, out, err = run_process("run", run_file, "--output", tmp_path / "out", store=quick_store)
    assert code == 0, err
    assert "below 8 bits nothing is exported" in " ".join(out.split())
    code, _, err = run_process("validate", tmp_path / "out", store=quick_store)
    assert code == 1
    assert "holds no model to validate" in err
