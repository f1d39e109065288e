"""The jobs of the MNIST table: recipe, setting, variant, teacher and seed of every run."""

from dataclasses import dataclass, is_dataclass, replace
from functools import cache
from pathlib import Path

from benchmarks.mnist.common_setting import common
from benchmarks.mnist.teachers import CIFAR_TEACHER, MAIN_TEACHERS, TEACHERS, TeacherCard
from benchmarks.mnist.variants import VARIANTS
from benchmarks.row_digest import Data, DigestRules, dataclass_defaults, part_data, read_rules
from dfkd import composition
from dfkd.compatibility import lacking_batch_norm, without_batch_norm
from dfkd.images import ImageSpec
from dfkd.recipe import Recipe
from dfkd.recipes import PUBLISHED, RECIPES
from dfkd.training.budget import Plan, for_teacher_passes, passes_per_round

PASSES = 360_000
"""Largest number of teacher passes of a run. The house recipe takes about four minutes on one
core."""

LONG_PASSES = 1_200_000
"""The same for the long runs of the house recipe, which take up to ten minutes on two cores."""

CIFAR_PASSES = 60_000
"""The same for runs on CIFAR-10, which two cores can do in minutes."""

SEEDS = (0, 1, 2)

FIRST_METHODS = ("rdskd", "pre-dfkd", "ta-dfkd", "lra", "de-dfkd")
"""The first five methods of the project."""

DEFAULTS_FILE = Path(__file__).with_name("defaults.json")


@dataclass(frozen=True)
class Job:
    """One run of the table.

    Attributes:
        recipe: A key of `dfkd.recipes.RECIPES`.
        setting: "common" (see `common_setting`) or "paper" (the published defaults); for the house
            recipe "own", or "long" for a longer run.
        teacher: A key of `TEACHERS`.
        seed: Seed of the networks and of the run.
        variant: A key of `VARIANTS`, or "" for the recipe itself.
    """

    recipe: str
    setting: str
    teacher: str
    seed: int
    variant: str = ""

    @property
    def key(self) -> str:
        """The unique name of the job, which is also a file name."""
        parts = (self.recipe, self.setting, self.variant, self.teacher, str(self.seed))
        return "_".join(part.replace(" ", "-") for part in parts if part)

    @property
    def passes(self) -> int:
        """The largest number of teacher passes."""
        if self.teacher == CIFAR_TEACHER:
            return CIFAR_PASSES
        return LONG_PASSES if self.setting == "long" else PASSES

    def build_recipe(self) -> Recipe:
        """Return the recipe at the job's setting, changed by its variant."""
        recipe = RECIPES[self.recipe]
        if self.setting == "common":
            recipe = common(recipe, self.passes)
        return VARIANTS[self.variant](recipe) if self.variant else recipe

    def plan(self) -> Plan:
        """Return the length of the run; a variant has as many rounds as its recipe."""
        return for_teacher_passes(replace(self, variant="").build_recipe(), self.passes)

    def as_data(self) -> Data:
        """Return as JSON data everything, except the code, that the row depends on."""
        recipe = self.build_recipe()
        if not TEACHERS[self.teacher].batch_norm:
            recipe = replace(recipe, terms=without_batch_norm(recipe))
        return {
            "name": recipe.name,
            "recipe": {"type": "Composition", **recipe.as_data()},
            "plan": part_data(self.plan()),
            "teacher": part_data(TEACHERS[self.teacher]),
            "seed": self.seed,
        }

    def digest(self) -> str:
        """Return the digest of `as_data`, see `benchmarks.row_digest`."""
        return digest_rules().digest(self.as_data())


@cache
def digest_rules() -> DigestRules:
    """Return the fixed defaults of this table."""
    parts = [p for p in vars(composition).values() if isinstance(p, type) and is_dataclass(p)]
    return read_rules(DEFAULTS_FILE, dataclass_defaults([*parts, Plan, TeacherCard, ImageSpec]))


MECHANISMS: dict[str, tuple[str, ...]] = {
    "rdskd": ("certainty x0.1", "certainty x10", *(f"plain sum x{f:g}" for f in (0.1, 1.0, 10.0))),
    "pre-dfkd": ("without replay",),
    "lra": ("without meta step", "first order"),
    "ta-dfkd": ("without selection",),
    "de-dfkd": ("unconditional", "without metric"),
}
"""By method, its variants without the mechanism that the method introduced."""

ABLATION = (
    "without adversary",
    "without class-balance",
    "without certainty",
    "without batch-norm",
    "without replay",
    "without blending",
    "logit-l1",
    "tanh head",
    "sigmoid head",
)
"""Variants of the house recipe."""

ABLATED = (*MAIN_TEACHERS, "smoothed", "mixup")
"""Teachers for the variants of the house recipe; the last two for "without blending" only."""

MECHANISM_TEACHERS = ("lenet5-bn", "resnet20", "wrn-16-1")
"""Teachers for the variants of TA-DFKD; those of the other methods use the first one only."""


def suits(recipe: str, teacher: str) -> bool:
    """Return whether the teacher has batch norm, or the recipe does not need it."""
    return TEACHERS[teacher].batch_norm or lacking_batch_norm(RECIPES[recipe]) is None


def affordable(recipe: Recipe) -> bool:
    """Return whether one round at the published defaults fits into the passes of a run."""
    return passes_per_round(recipe, warm=bool(recipe.schedule.warmup_rounds)) <= PASSES


def setting_of(recipe: str, chosen: dict[str, str]) -> str:
    """Return the setting at which the rows of a recipe are shown.

    Args:
        recipe: Name of the recipe.
        chosen: The better setting of each published recipe for which it is known.
    """
    return "own" if recipe == "house" else chosen.get(recipe, "common")


def jobs(chosen: dict[str, str]) -> list[Job]:
    """Return every job of the table in the order in which to run them.

    Args:
        chosen: The better setting of each published recipe for which it is known. The others are
            run at the common setting.
    """
    names = ["house", *(recipe.name for recipe in PUBLISHED)]
    main = [
        Job(name, setting_of(name, chosen), teacher, seed)
        for seed in SEEDS
        for teacher in MAIN_TEACHERS
        for name in names
    ]
    first_seed = main[: len(MAIN_TEACHERS) * len(names)]
    long = [Job("house", "long", "lenet5", seed) for seed in SEEDS]
    more_teachers = [
        Job(name, setting_of(name, chosen), teacher, 0)
        for teacher in TEACHERS
        if teacher not in (*MAIN_TEACHERS, CIFAR_TEACHER)
        for name in ("house", *FIRST_METHODS, "dafl")
    ]
    cifar = [Job(name, setting_of(name, chosen), CIFAR_TEACHER, 0) for name in ("house", "dfq-akd")]
    paper = [
        Job(recipe.name, "paper", "lenet5-bn", 0) for recipe in PUBLISHED if affordable(recipe)
    ]
    wanted = [
        *first_seed,
        *long,
        *more_teachers,
        *_mechanism_jobs(),
        *_ablation_jobs(),
        *main,
        *cifar,
        *_repeated_mechanism_jobs(),
        *paper,
    ]
    unique = {job.key: job for job in wanted if suits(job.recipe, job.teacher)}
    # Published settings take long, so they come last, starting with those that decide the choice.
    return sorted(
        unique.values(),
        key=lambda job: (
            job.setting == "paper",
            job.setting == "paper" and job not in paper,
            job.setting == "paper" and job.teacher != "lenet5-bn",
        ),
    )


def all_jobs() -> list[Job]:
    """Return the jobs for both choices of each recipe's setting, to find a job by its key."""
    return [*jobs({}), *jobs({recipe.name: "paper" for recipe in PUBLISHED})]


def _mechanism_jobs() -> list[Job]:
    return [
        Job(name, "common", teacher, 0, variant)
        for name, variants in MECHANISMS.items()
        for variant in variants
        for teacher in (MECHANISM_TEACHERS if name == "ta-dfkd" else MECHANISM_TEACHERS[:1])
    ]


def _repeated_mechanism_jobs() -> list[Job]:
    """Return jobs with more seeds, for the mechanisms whose effect varies with the seed."""
    return [
        Job(name, "common", MECHANISM_TEACHERS[0], seed, variant)
        for seed in SEEDS[1:]
        for name in ("pre-dfkd", "lra", "de-dfkd")
        for variant in MECHANISMS[name]
    ]


def _ablation_jobs() -> list[Job]:
    return [
        *(
            Job("house", "own", teacher, 0, variant)
            for teacher in MAIN_TEACHERS
            for variant in ABLATION
            if TEACHERS[teacher].batch_norm or variant != "without batch-norm"
        ),
        *(Job("house", "own", teacher, 0, "without blending") for teacher in ABLATED[2:]),
    ]
