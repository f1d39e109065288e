"""Checks of a run file that need no network. Imports no torch."""

from pipeline.config.architecture_names import check_architectures
from pipeline.config.chosen_targets import check_targets
from pipeline.config.recipe_checks import check_recipes
from pipeline.config.schema import RunConfig
from pipeline.config.weight_range import half_range
from pipeline.teachers.weights_file import check_weights


def check_config(config: RunConfig) -> None:
    """Check targets, weight range, architectures, recipes and the teacher's file of a run file.

    Raises:
        InputError: If the teacher's file is missing, a target or recipe is unknown, a target or
            recipe does not fit the rest of the run file, or an architecture cannot be built.
    """
    check_targets(config)
    half_range(config)
    check_architectures(config)
    check_recipes(config)
    check_weights(config.teacher.weights)
