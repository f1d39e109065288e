"""What a step is: its declaration, its input when it runs, and its result."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.config.schema import RunConfig
    from pipeline.reporter import Reporter
    from pipeline.store.step_workspace import Workspace


@dataclass(frozen=True, order=True)
class Role:
    """What an artifact is in a run.

    Attributes:
        name: For example "student", "golden" or "compiled".
        precision: "int8" or "fp32" where a step makes one artifact per precision; else "".
        target: The target that the artifact was made for; "" if it serves all of them.
    """

    name: str
    precision: str = ""
    target: str = ""

    @property
    def record_name(self) -> str:
        """The role's key in the JSON record of the step that made it."""
        return f"{self.name}-{self.precision}" if self.precision else self.name

    def __str__(self) -> str:
        return f"{self.record_name} of {self.target}" if self.target else self.record_name


RoleChoice = Callable[["RunConfig", str], tuple[Role, ...]]
"""Roles as a function of the run file and the step's target ("" if it has none)."""


def always(*roles: Role) -> RoleChoice:
    """Return a choice of roles that depends neither on the run file nor on a target."""
    return lambda config, target: roles


def no_modules(config: "RunConfig") -> tuple[str, ...]:
    """Return no modules: the step runs only code that its own module imports."""
    return ()


@dataclass(frozen=True)
class Step:
    """The declaration of a step. Its work is `run(context)` in `pipeline.steps.NAME`.

    Importing a declaration must not import torch: a step that is reused loads none of its code.

    Attributes:
        name: The step, and the module in `pipeline.steps` that declares and runs it.
        needs: Roles of the artifacts that the step reads.
        makes: Roles of the artifacts that the step writes.
        settings: The part of the run file, as JSON, that the result depends on.
        modules: Modules that the run file selects, such as the parts of a recipe. They are added
            to those that the step's own module imports.
        target: The target that the step works for; "" if it runs once for all targets.
    """

    name: str
    needs: RoleChoice
    makes: RoleChoice
    settings: Callable[["RunConfig", str], Any]
    modules: Callable[["RunConfig"], tuple[str, ...]] = no_modules
    target: str = ""

    def for_target(self, target: str) -> "Step":
        """Return the same step for one target."""
        return replace(self, target=target)

    @property
    def label(self) -> str:
        """The step's name, unique within a run."""
        return f"{self.name} {self.target}".rstrip()

    @property
    def module(self) -> str:
        """The module that runs the step."""
        return f"pipeline.steps.{self.name}"


@dataclass(frozen=True)
class StepContext:
    """The input of a step's `run`.

    Attributes:
        config: The run file.
        settings: The part of it that belongs to the step's key, as JSON.
        inputs: The files that the step needs, by role.
        folder: An empty folder for the files that the step makes.
        workspace: Files of an earlier, interrupted attempt of the step; kept until it finishes.
        reporter: Receives messages and progress.
        target: The target that the step works for; "" if it runs once for all targets.
    """

    config: "RunConfig"
    settings: Any
    inputs: dict[Role, Path]
    folder: Path
    workspace: "Workspace"
    reporter: "Reporter"
    target: str = ""


@dataclass(frozen=True)
class StepResult:
    """The output of a step's `run`.

    Attributes:
        files: The files that the step made, by role.
        notes: JSON for reports, such as losses and seconds; excluded from every key.
    """

    files: dict[Role, Path]
    notes: dict[str, Any] = field(default_factory=dict)
