"""Checks of a run file before a run. Imports no torch."""

from pipeline.config.chosen_targets import check_targets
from pipeline.config.recipe_checks import check_recipes
from pipeline.config.schema import RunConfig
from pipeline.config.weight_range import half_range
from pipeline.teachers.weights_file import check_weights


def check_config(config: RunConfig) -> None:
    """Raise InputError if no run of this run file can succeed.

    Raises:
        InputError: If the weights are missing, or a target or recipe is unknown or does not fit.
    """
    check_targets(config)
    half_range(config)
    check_recipes(config)
    check_weights(config.teacher.weights)
