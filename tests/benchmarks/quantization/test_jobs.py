"""The jobs of the quantization table."""

from pathlib import Path

from benchmarks.quantization.jobs import CHOICES, FEW_BITS, SLOW, SMALL, jobs
from pipeline.config.chosen_recipes import chosen_recipe
from pipeline.config.recipe_checks import check_recipes
from pipeline.steps import fresh_generator


def test_jobs_are_unique_and_complete():
    quick = len(CHOICES) - len(SLOW)
    assert len({job.key for job in jobs()}) == len(jobs()) == 4 * (3 * quick + len(SLOW))


def test_every_job_is_a_valid_run():
    for job in jobs():
        config = job.config(Path("teachers"))
        assert config.quantize.exported == (job.weight_bits == 8)
        assert config.seed == job.seed
        check_recipes(config)
        chosen_recipe(config.quantize.recipe, config.quantize.overrides)


def test_overrides_of_a_job_depend_on_choice_and_bits():
    plain = {"gdfq": SMALL, "adadfq": SMALL}
    for job in jobs():
        few = FEW_BITS.get(job.choice, {}) if job.weight_bits < 8 else {}
        overrides = job.config(Path("teachers")).quantize.overrides
        assert overrides == {**plain.get(job.choice, {}), **few}
    assert any(job.overrides == FEW_BITS["adversarial"] for job in jobs())


def test_choices_with_the_house_recipe_share_a_generator():
    settings = {
        job.choice: fresh_generator.STEP.settings(job.config(Path("teachers")), "")
        for job in jobs()
        if (job.teacher, job.weight_bits, job.seed) == ("cifar10_resnet20", 4, 0)
    }
    shared = [settings[name] for name in FEW_BITS]
    assert shared[0] == shared[1] == shared[2]
    assert settings["gdfq"] not in shared
