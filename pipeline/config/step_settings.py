"""Parts of a run file, as JSON, for the settings of a step."""

from importlib import metadata
from typing import Any

from pipeline.config.schema import RunConfig
from pipeline.store.code_digest import factory_digest


def sections(config: RunConfig, *names: str) -> dict[str, Any]:
    """Return sections of the run file by their names."""
    dumped = config.model_dump(mode="json")
    return {name: dumped[name] for name in names}


def teacher_network(config: RunConfig) -> dict[str, Any]:
    """Return the teacher's section without its weights: their path must not change a key."""
    section = config.teacher.model_dump(mode="json", exclude={"weights"})
    return {**section, "factory": factory_digest(config.teacher.architecture)}


def student_network(config: RunConfig) -> Any:
    """Return the student's section, or "same"."""
    if config.student == "same":
        return "same"
    section = config.student.model_dump(mode="json")
    return {**section, "factory": factory_digest(config.student.architecture)}


def torch_settings(config: RunConfig) -> dict[str, Any]:
    """Return the device and the versions of the libraries that compute with torch."""
    versions = {name: metadata.version(name) for name in ("torch", "nncf", "onnxscript")}
    return {"device": config.device, **versions}
