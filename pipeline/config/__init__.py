"""The run file: its schema, its reading, and the recipes and targets that it names.

Nothing here imports torch.
"""

__all__ = [
    "chosen_recipes",
    "chosen_targets",
    "recipe_card",
    "recipe_checks",
    "run_file",
    "schema",
    "sections",
    "step_settings",
    "weight_range",
]
