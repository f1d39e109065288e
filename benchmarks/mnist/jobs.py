"""What the MNIST table is made of: which recipe, at which setting, from which teacher and seed."""

import hashlib
from dataclasses import dataclass, replace

from benchmarks.data import MNIST_INPUT
from benchmarks.mnist.common_setting import common
from benchmarks.mnist.variants import VARIANTS
from dfkd.compatibility import lacking_batch_norm, without_batch_norm
from dfkd.images import ImageSpec
from dfkd.recipe import Recipe
from dfkd.recipes import PUBLISHED, RECIPES
from dfkd.training.budget import Plan, for_teacher_passes, passes_per_round

PASSES = 360_000
"""Teacher passes of a run, at most: about 100 s of the house recipe on 2 cores, counted as half of
what one thread takes with another run beside it."""

LONG_PASSES = 1_200_000
"""Of the house recipe's own run, alone on 2 cores: within 10 minutes."""

SEEDS = (0, 1, 2)

LATER = (", stages=0.0",)
"""Fields that are younger than rows of the table, as they were when these ran."""

SEED_METHODS = ("rdskd", "pre-dfkd", "ta-dfkd", "lra", "de-dfkd")
"""The five methods the project started from."""


@dataclass(frozen=True)
class TeacherCard:
    """A teacher of the table.

    Attributes:
        architecture: A name in the registry.
        weights: A file under the project, or "TEACHERS/..." for one trained by others.
        batch_norm: Whether it has batch norm.
        width: Multiplier of the hidden widths.
        data: The set it was trained on.
        spec: What it sees.
        student: What it teaches. LeNet-5-half has batch norm while it learns; folded away, it is
            LeNet-5-half.
    """

    architecture: str
    weights: str
    batch_norm: bool = False
    width: float = 1.0
    data: str = "mnist"
    spec: ImageSpec = MNIST_INPUT
    student: str = "lenet5-half-bn"


def _ours(name: str) -> str:
    return f"benchmarks/teachers/{name}/teacher.safetensors"


TEACHERS = {
    "lenet5-bn": TeacherCard("lenet5-bn", _ours("lenet5-bn"), batch_norm=True),
    "lenet5": TeacherCard("lenet5", "examples/mnist_lenet5/teacher.safetensors"),
    "outside-lenet5": TeacherCard("lenet5", "TEACHERS/mnist_lenet5/mnist_cnn.pt"),
    "smoothed": TeacherCard("lenet5", _ours("smoothed")),
    "mixup": TeacherCard("lenet5", _ours("mixup")),
    "resnet20": TeacherCard("resnet20", _ours("resnet20"), batch_norm=True, width=0.5),
    "wrn-16-1": TeacherCard("wrn-16-1", _ours("wrn-16-1"), batch_norm=True, width=0.5),
    "fashion": TeacherCard("lenet5", _ours("fashion"), data="fashion-mnist"),
    "cifar10-resnet20": TeacherCard(
        "resnet20",
        "TEACHERS/cifar10_resnet20/resnet20-12fca82f.th",
        batch_norm=True,
        data="cifar10",
        spec=ImageSpec((3, 32, 32), (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        student="resnet20",
    ),
}
"""By the name in the table."""

CIFAR_TEACHER = "cifar10-resnet20"

CIFAR_PASSES = 60_000
"""What two cores allow a run on CIFAR-10."""

MAIN_TEACHERS = ("lenet5-bn", "lenet5")


@dataclass(frozen=True)
class Job:
    """One run.

    Attributes:
        recipe: A name.
        setting: "common", "paper", or for the house recipe "own" and "long".
        teacher: A name out of `TEACHERS`.
        seed: Of everything.
        variant: A change out of `VARIANTS`, for ablations and mechanisms.
    """

    recipe: str
    setting: str
    teacher: str
    seed: int
    variant: str = ""

    @property
    def key(self) -> str:
        """Tells it from all others; also a file name."""
        parts = (self.recipe, self.setting, self.variant, self.teacher, str(self.seed))
        return "_".join(part.replace(" ", "-") for part in parts if part)

    @property
    def passes(self) -> int:
        """Its budget."""
        if self.teacher == CIFAR_TEACHER:
            return CIFAR_PASSES
        return LONG_PASSES if self.setting == "long" else PASSES

    def composition(self) -> Recipe:
        """The recipe that is run."""
        recipe = RECIPES[self.recipe]
        if self.setting == "common":
            recipe = common(recipe, self.passes)
        return VARIANTS[self.variant](recipe) if self.variant else recipe

    def plan(self) -> Plan:
        """Its length; a variant runs as many rounds as the recipe as it is."""
        return for_teacher_passes(replace(self, variant="").composition(), self.passes)

    def digest(self) -> str:
        """Of all that the row depends on except the engine: another one is another run."""
        recipe = replace(self.composition(), citation="", reported={}, notes=())
        if not TEACHERS[self.teacher].batch_norm:
            recipe = replace(recipe, terms=without_batch_norm(recipe))
        parts = (recipe, self.plan(), TEACHERS[self.teacher], self.seed)
        stated = repr(parts)
        for younger in LATER:
            stated = stated.replace(younger, "")
        return hashlib.sha256(stated.encode()).hexdigest()[:12]


MECHANISMS: dict[str, tuple[str, ...]] = {
    "rdskd": ("certainty x0.1", "certainty x10", *(f"plain sum x{f:g}" for f in (0.1, 1.0, 10.0))),
    "pre-dfkd": ("without replay",),
    "lra": ("without meta step", "first order"),
    "ta-dfkd": ("without selection",),
    "de-dfkd": ("unconditional", "without metric"),
}
"""Each seed method against itself without what is its own."""

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
"""Of the house recipe."""

ABLATED = (*MAIN_TEACHERS, "smoothed", "mixup")
"""Teachers of the ablation; the last two for blending alone, which is there for their like."""


def suits(recipe: str, teacher: str) -> bool:
    """Whether the recipe can be run on the teacher; the cell says `needs batch norm` otherwise."""
    return TEACHERS[teacher].batch_norm or lacking_batch_norm(RECIPES[recipe]) is None


def affordable(recipe: Recipe) -> bool:
    """Whether a recipe at its paper's defaults gets through a round within the budget."""
    return passes_per_round(recipe, warm=bool(recipe.schedule.warmup_rounds)) <= PASSES


def setting_of(recipe: str, chosen: dict[str, str]) -> str:
    """The setting a recipe's rows are shown at."""
    return "own" if recipe == "house" else chosen.get(recipe, "common")


def jobs(chosen: dict[str, str]) -> list[Job]:
    """Every run of the table, the most wanted first.

    Args:
        chosen: For each published recipe the better of its two settings, as far as it is known;
            the common one until then.
    """
    names = ["house", *(recipe.name for recipe in PUBLISHED)]
    main = [
        Job(name, setting_of(name, chosen), teacher, seed)
        for seed in SEEDS
        for teacher in MAIN_TEACHERS
        for name in names
    ]
    long = [Job("house", "long", "lenet5", seed) for seed in SEEDS]
    few = ["house", *SEED_METHODS, "dafl"]
    extra = [
        Job(name, setting_of(name, chosen), teacher, 0)
        for teacher in TEACHERS
        if teacher not in (*MAIN_TEACHERS, CIFAR_TEACHER)
        for name in few
    ]
    cifar = [Job(name, setting_of(name, chosen), CIFAR_TEACHER, 0) for name in ("house", "dfq-akd")]
    mechanisms = [
        Job(name, "common", teacher, 0, variant)
        for name, variants in MECHANISMS.items()
        for variant in variants
        for teacher in (
            ("lenet5-bn", "resnet20", "wrn-16-1") if name == "ta-dfkd" else ("lenet5-bn",)
        )
    ]
    more = [
        Job(name, "common", "lenet5-bn", seed, variant)
        for seed in SEEDS[1:]
        for name in ("pre-dfkd", "lra", "de-dfkd")
        for variant in MECHANISMS[name]
    ]
    ablation = [
        Job("house", "own", teacher, 0, variant)
        for teacher in MAIN_TEACHERS
        for variant in ABLATION
        if TEACHERS[teacher].batch_norm or variant != "without batch-norm"
    ]
    ablation += [Job("house", "own", name, 0, "without blending") for name in ABLATED[-2:]]
    paper = [
        Job(recipe.name, "paper", "lenet5-bn", 0) for recipe in PUBLISHED if affordable(recipe)
    ]
    wanted = [
        *main[: 2 * len(names)],
        *long,
        *extra,
        *mechanisms,
        *ablation,
        *main,
        *cifar,
        *more,
        *paper,
    ]
    unique = {job.key: job for job in wanted if suits(job.recipe, job.teacher)}
    # A paper's own setting takes long: those rows first that decide whether others follow.
    return sorted(
        unique.values(),
        key=lambda job: (
            job.setting == "paper",
            job.setting == "paper" and job not in paper,
            job.setting == "paper" and job.teacher != "lenet5-bn",
        ),
    )
