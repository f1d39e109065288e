"""dfkd as a library: `import dfkd` and `dfkd.distill`."""

import runpy
import subprocess
import sys

import pytest
import torch

import dfkd
from dfkd.errors import RecipeError
from tests.support.quick_run import ROOT
from tests.support.tiny import SPEC, make_teacher, weights

SMALL = {"batch": 8, "memory": 64, "fresh_batches": 2, "student_steps": 3, "width": 4, "latent": 8}


def small_run(**options):
    teacher, student = make_teacher(), dfkd.build_network("lenet5-half-bn", SPEC, 10)
    options = {"overrides": SMALL, "budget": 9, **options}
    return teacher, dfkd.distill(teacher, student, SPEC, 10, **options)


def test_import_dfkd_needs_no_torch():
    code = (
        "import sys, dfkd; dfkd.RECIPES, dfkd.Recipe, dfkd.Plan, dfkd.for_student_steps; "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("name", dfkd.__all__)
def test_public_names_are_loaded_when_used(name):
    assert getattr(dfkd, name) is not None
    assert name in dir(dfkd)


def test_unknown_name_of_dfkd_raises():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = dfkd.nothing


def test_distill_trains_the_student_and_records_the_run():
    teacher, result = small_run()
    assert [r.number for r in result.rounds] == [1, 2, 3]
    assert len(result.losses()) == len(result.losses("adversary")) == 3
    assert result.counts.student_steps == 9
    assert result.terms == ("certainty", "class-balance", "adversary", "batch-norm")
    assert result.events == ()
    assert result.recipe.schedule.batch == 8
    assert not result.student.training
    assert torch.equal(weights(teacher), weights(make_teacher()))


def test_distill_leaves_out_terms_that_the_teacher_does_not_allow():
    teacher, student = (dfkd.build_network(n, SPEC, 10) for n in ("lenet5", "lenet5-half"))
    result = dfkd.distill(teacher, student, SPEC, 10, overrides=SMALL, budget=3)
    assert "batch-norm" not in result.terms


def test_distill_is_reproducible_from_equal_students():
    def run(seed):
        torch.manual_seed(5)
        return weights(small_run(seed=seed)[1].student)

    assert torch.equal(run(1), run(1))
    assert not torch.equal(run(1), run(2))


def test_distill_reports_progress():
    seen = []
    _, result = small_run(progress=seen.append)
    assert tuple(seen) == result.rounds


def test_distill_refuses_an_unknown_recipe_or_setting():
    with pytest.raises(RecipeError, match="unknown recipe 'hause'; known are adadfq"):
        small_run(recipe="hause")
    with pytest.raises(RecipeError, match="has no setting 'bach'"):
        small_run(overrides={"bach": 3})


@pytest.mark.slow
def test_example_script_lowers_the_loss_of_the_student(capsys):
    found = runpy.run_path(str(ROOT / "examples" / "distill_with_dfkd.py"))
    losses = found["result"].losses()
    assert losses[-1] < losses[0]
    assert "student loss" in capsys.readouterr().out
