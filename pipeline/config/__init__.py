"""The run file: its schema, its reading, and the recipes and targets that it names.

Nothing here imports torch.
"""

__all__ = [
    "architecture_names",
    "chosen_recipes",
    "chosen_targets",
    "network_values",
    "recipe_card",
    "recipe_checks",
    "run_file",
    "schema",
    "sections",
    "step_settings",
    "weight_range",
]
