"""The parts of a run file that become the settings of a step, and the modules that they name."""

from dataclasses import asdict
from importlib import metadata
from typing import Any

from dfkd.memory import MEMORIES
from dfkd.models import ARCHITECTURES, modules_of
from dfkd.recipe import Recipe
from dfkd.student_loss import OBJECTIVES, UPDATES
from dfkd.synthesizers import SYNTHESIZERS
from dfkd.terms import TERMS, WRAPPERS
from pipeline.config.architecture_names import code_version, library_version
from pipeline.config.chosen_precision import chosen_precision
from pipeline.config.picture_keys import PICTURE_KEYS
from pipeline.config.schema import RunConfig


def sections(config: RunConfig, *names: str) -> dict[str, Any]:
    """Return sections of the run file by their names, without the keys that no step reads."""
    dumped = config.model_dump(mode="json", exclude={"input": set(PICTURE_KEYS)})
    return {name: dumped[name] for name in names}


def teacher_network(config: RunConfig) -> dict[str, Any]:
    """Return the teacher's section without what changes no arithmetic.

    That is the place of the weights, and the names of the classes.
    """
    section = config.teacher.model_dump(mode="json", exclude={"weights", "weights_key", "trusted"})
    # Not left out, so that the keys of run files without names stay the same.
    section["class_names"] = []
    return {**section, "definition": _definition(config.teacher.architecture)}


def student_network(config: RunConfig) -> Any:
    """Return the student's section, or "same"."""
    if config.student == "same":
        return "same"
    section = config.student.model_dump(mode="json")
    return {**section, "definition": _definition(config.student.architecture)}


def teacher_modules(config: RunConfig) -> tuple[str, ...]:
    """Return the modules that define the teacher's architecture."""
    return modules_of(config.teacher.architecture)


def network_modules(config: RunConfig) -> tuple[str, ...]:
    """Return the modules that define the architectures of teacher and student."""
    student = config.teacher if config.student == "same" else config.student
    return (*teacher_modules(config), *modules_of(student.architecture))


def _definition(architecture: str) -> Any:
    """Return what defines an architecture: its table row, factory digest or library version.

    A teacher's file that holds the network defines it. It is converted with onnx, and maybe torch.
    """
    if not architecture:
        return {name: metadata.version(name) for name in ("onnx", "torch")}
    if architecture in ARCHITECTURES:
        return asdict(ARCHITECTURES[architecture])
    return code_version(architecture) or (
        f"torchvision {library_version('torchvision', architecture)}"
    )


def recipe_data(recipe: Recipe) -> dict[str, Any]:
    """Return a recipe as data, with the rows of its parts in the tables of dfkd."""
    wrappers = [term.wrapper for term in recipe.terms if term.wrapper is not None]
    rows = [
        *(asdict(TERMS[term.name]) for term in recipe.terms),
        *(WRAPPERS[type(wrapper)] for wrapper in wrappers),
        asdict(SYNTHESIZERS[type(recipe.synthesizer)]),
        asdict(MEMORIES[type(recipe.memory)]) if recipe.memory else None,
        OBJECTIVES[type(recipe.objective)],
        UPDATES[type(recipe.update)] if recipe.update else None,
    ]
    return {**recipe.as_data(), "rows": rows}


def torch_settings(config: RunConfig) -> dict[str, Any]:
    """Return the device and the versions of the libraries that compute with torch."""
    versions = {name: metadata.version(name) for name in ("torch", "nncf", "onnxscript")}
    return {"device": config.device, "precision": chosen_precision(config), **versions}
