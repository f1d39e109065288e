"""Rows of the MNIST table for tests."""


def build_row(job, **changes):
    """Return a row with made-up figures."""
    return {
        "key": job.key,
        "digest": job.digest(),
        "recipe": job.recipe,
        "setting": job.setting,
        "variant": job.variant,
        "teacher": job.teacher,
        "teacher_accuracy": 99.0,
        "seed": job.seed,
        **dict.fromkeys(("final", "mu", "deviation", "peak", "last10", "held_out"), 90.0),
        **dict.fromkeys(("passes", "images", "steps", "seconds", "memory_mb"), 1),
        "health": [],
        "machine": "a machine",
        **changes,
    }
