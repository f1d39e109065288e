"""The sections of the run file about training, quantization and export. Imports no torch."""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from pipeline.config.section import MAX_COUNT, Count, Section

Overrides = dict[str, Annotated[float, Field(ge=-MAX_COUNT, le=MAX_COUNT)]]

Bits = Annotated[int, Field(ge=2, le=8)]


class Budget(Section):
    """The length of a training, rounded up to whole rounds of the recipe. Set one of the keys.

    Attributes:
        steps: Student steps.
        images: Images that the student sees.
    """

    steps: Annotated[int, Field(ge=0, le=1_000 * MAX_COUNT)] | None = None
    images: Annotated[int, Field(ge=0, le=1_000_000 * MAX_COUNT)] | None = None

    @model_validator(mode="after")
    def _check_one_given(self) -> "Budget":
        if (self.steps is None) == (self.images is None):
            raise ValueError("give either steps or images")
        return self

    def student_steps(self, batch: int) -> int:
        """Return the budget in student steps of `batch` images."""
        if self.steps is not None:
            return self.steps
        assert self.images is not None
        return -(-self.images // batch)


class DistillSection(Section):
    """How the student is trained.

    Attributes:
        recipe: The name of a recipe, or `package.module:NAME`, a recipe of your own.
        budget: The length of the training.
        overrides: Numbers of the recipe to override, by name.
    """

    recipe: str = "house"
    budget: Budget = Budget(steps=16_000)
    overrides: Overrides = Field(default={})


class QuantizeSection(Section):
    """How the student is quantized.

    Attributes:
        method: "adversarial" fine-tunes with the generator of the distillation, which continues to
            learn (with `student: same`, a generator trained from the teacher alone); "frozen" with
            the same generator, not trained further; "fresh" with a new generator. The others only
            calibrate ranges: "generator-images" on the generator's images, "batch-norm-images" on
            images that match the teacher's batch norms (ZeroQ), "noise" on uniform noise.
        recipe: The recipe of the fine-tuning, as in `distill`; a generator that continues keeps its
            layout.
        budget: Student steps after the ranges are calibrated.
        overrides: Numbers of the recipe to override.
        teacher: The network that the student learns from during fine-tuning: the "original"
            teacher, or the float "student".
        weight_bits: Below 8, nothing is exported, and with a recipe that trains the student by
            Adam, the ranges below 8 bits are trained too.
        activation_bits: As `weight_bits`. Below 8, only inputs of layers are quantized.
        edge_bits: Bits of the first and last layer's weights and inputs, images included; if left
            out, as all others, and 8 for images.
        float_layers: Names of layers that stay in float, or patterns such as "blocks.0.*"; "auto"
            leaves layers in float that cannot be quantized, such as recurrent ones, if they have at
            most 10 % of the multiply-adds.
        calibration_images: Number of images from which activation ranges are first set.
        adjust: "auto" equalizes layers, chooses activation ranges by their squared error and
            corrects biases, each only if that lowers the squared error of the logits on further
            images of the generator; not for methods without a generator, nor with the recipes
            "gdfq" and "adadfq", which stay as published. "off" does none of these.
        weight_range: "half" keeps int8 weights between -64 and 64, for CPUs whose int8 kernels
            saturate (x86 without VNNI); "auto" uses half if one of the targets is such a CPU.
    """

    method: Literal[
        "adversarial", "frozen", "fresh", "generator-images", "batch-norm-images", "noise"
    ] = "adversarial"
    recipe: str = "house-quantize"
    budget: Budget = Budget(steps=400)
    overrides: Overrides = Field(default={})
    teacher: Literal["original", "student"] = "original"
    weight_bits: Bits = 8
    activation_bits: Bits = 8
    edge_bits: Bits | None = None
    float_layers: tuple[str, ...] | Literal["auto"] = ()
    calibration_images: Count = 1_024
    adjust: Literal["auto", "off"] = "auto"
    weight_range: Literal["auto", "full", "half"] = "auto"

    @model_validator(mode="before")
    @classmethod
    def _without_kernels(cls, section: object) -> object:
        """Accept the key `kernels` of older run files and bundles, which has no effect any more."""
        if not isinstance(section, dict):
            return section
        return {key: value for key, value in section.items() if key != "kernels"}

    @field_validator("adjust", mode="before")
    @classmethod
    def _read_off(cls, adjust: object) -> object:
        """Accept false, because YAML reads an unquoted `off` as false."""
        return "off" if adjust is False else adjust

    @property
    def exported(self) -> bool:
        """Whether a supported runtime can run the result."""
        return min(self.weight_bits, self.activation_bits, self.edge_bits or 8) == 8

    @property
    def tunes(self) -> bool:
        """Whether the method trains weights."""
        return self.method in ("adversarial", "frozen", "fresh")

    @property
    def draws(self) -> bool:
        """Whether the method needs images from a generator."""
        return self.method not in ("batch-norm-images", "noise")

    @property
    def continues(self) -> bool:
        """Whether the method uses the generator of the distillation, if there is one."""
        return self.method in ("adversarial", "frozen", "generator-images")


class ExportSection(Section):
    """How the graphs are written.

    Attributes:
        opset: 13 for the oldest devices, else 17. The graph with int8 and float16 always has 19.
        batch: A fixed number of images; if left out, any number.
        preprocessing: Take uint8 pixels and normalise them inside the graph.
    """

    opset: Literal[13, 17] = 17
    batch: Annotated[int, Field(ge=1, le=4_096)] | None = None
    preprocessing: bool = False


class GateSection(Section):
    """What the verdict requires.

    Attributes:
        agreement: The share of probes on which the compiled student must give the teacher's answer.
            The verdict is pass if the interval's lower bound reaches it, fail if the upper bound
            does not, else inconclusive.
        confidence: Confidence of the Wilson interval.
        images: Number of probes, at least 2,000.
        generators: Number of held-out generators that draw them.
        rounds: Rounds of the training of each held-out generator. If left out, as many as cost no
            more than the rest of the run (see "The verdict" in docs/methods.md).
    """

    agreement: Annotated[float, Field(gt=0, lt=1)] = 0.9
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    images: Annotated[int, Field(ge=2_000, le=MAX_COUNT)] = 2_000
    generators: Annotated[int, Field(ge=1, le=8)] = 2
    rounds: Count | None = None
