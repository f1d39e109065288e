"""One schema for everything a run may be told. Imports no torch."""

from math import prod
from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PositiveFloat,
    PositiveInt,
    field_validator,
    model_validator,
)

from base.untrusted_files import MAX_FILE_BYTES

MOST = 10**6
"""Of whatever is counted here: steps, images, rounds. More is a slip of the finger, and some of it
would fill the memory before anything else went wrong."""

Count = Annotated[int, Field(ge=1, le=MOST)]

Overrides = dict[str, Annotated[float, Field(ge=-MOST, le=MOST)]]

Width = Annotated[float, Field(gt=0, le=64)]


class Section(BaseModel):
    """A part of the run file: no unknown keys, no infinite numbers, no change once read."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class TeacherSection(Section):
    """The trained network.

    Attributes:
        weights: A state dict (.safetensors, .pt, .pth, .th): a path beside the run file, or a URL.
        architecture: A name in the registry, a torchvision model name, or `package.module:factory`.
        width: Multiplier of the hidden widths, for registry architectures.
        classes: Number of classes.
        class_names: Their names, in order; may be left out.
    """

    weights: str
    architecture: str
    width: Width = 1.0
    classes: Annotated[int, Field(ge=2, le=MOST)]
    class_names: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _one_name_a_class(self) -> "TeacherSection":
        if self.class_names and len(self.class_names) != self.classes:
            raise ValueError(f"{len(self.class_names)} class_names for {self.classes} classes")
        return self


class InputSection(Section):
    """What the teacher sees: raw values in `value_range`, then (raw - mean) / std."""

    shape: tuple[PositiveInt, PositiveInt, PositiveInt]
    mean: tuple[float, ...]
    std: tuple[PositiveFloat, ...]
    value_range: tuple[float, float] = (0.0, 1.0)

    @model_validator(mode="after")
    def _a_value_a_channel(self) -> "InputSection":
        for name in ("mean", "std"):
            given = len(getattr(self, name))
            if given != self.shape[0]:
                raise ValueError(
                    f"{name} has {given} values for {self.shape[0]} channels; "
                    "shape is [channels, height, width]"
                )
        if self.value_range[0] >= self.value_range[1]:
            raise ValueError("value_range must be [smallest, largest]")
        return self


class StudentSection(Section):
    """The network that is taught; architecture and width as for the teacher."""

    architecture: str
    width: Width = 1.0


class Budget(Section):
    """How much a stage may cost: student steps, or images at a batch a step. Never time.

    Either is rounded up to whole rounds of the recipe.
    """

    steps: Annotated[int, Field(ge=0, le=1_000 * MOST)] | None = None
    images: Annotated[int, Field(ge=0, le=1_000_000 * MOST)] | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> "Budget":
        if (self.steps is None) == (self.images is None):
            raise ValueError("give either steps or images")
        return self

    def student_steps(self, batch: int) -> int:
        """The budget in student steps of `batch` images."""
        if self.steps is not None:
            return self.steps
        assert self.images is not None
        return -(-self.images // batch)


class DistillSection(Section):
    """How the student is taught: a recipe by name, its budget, and numbers of it to change."""

    recipe: str = "house"
    budget: Budget = Budget(steps=16_000)
    overrides: Overrides = {}


Bits = Annotated[int, Field(ge=2, le=8)]


class QuantizeSection(Section):
    """How the student is quantized.

    Attributes:
        method: "adversarial" fine-tunes against the generator that taught the student (for
            `student: same`, one that has learnt from the teacher alone), which goes on learning;
            "frozen" against the same generator as it is; "fresh" against another one, trained
            from scratch. The rest only calibrates ranges: "generator-images" on that generator's
            images, "batch-norm-images" on images made to match the teacher's batch norms (ZeroQ),
            "noise" on uniform noise.
        recipe: Of the fine-tuning, as for `distill`; a generator that goes on keeps its layout.
        budget: Student steps after the ranges are calibrated.
        overrides: Numbers of the recipe to change.
        teacher: Who answers while the student is fine-tuned: the "original" teacher, or the float
            "student".
        weight_bits: Below 8, nothing is exported, and where the recipe's student learns by Adam,
            ranges of fewer than 8 bits learn with the weights.
        activation_bits: Likewise. Below 8, what no layer takes stays in float.
        edge_bits: Of weights and inputs of the first and the last layer, images too; when left
            out they are as all others, but images have 8.
        float_layers: Layers that stay in float; any other that does is an error.
        calibration_images: Images from which activation ranges are first set.
        weight_range: "half" keeps int8 weights within +-64, for CPUs whose int8 kernels saturate
            (x86 without VNNI); "auto" chooses half when a target of the run is such a CPU.
        kernels: "compiled" needs a compiler (on CUDA nvcc); "reference" needs none and is slower.
    """

    method: Literal[
        "adversarial", "frozen", "fresh", "generator-images", "batch-norm-images", "noise"
    ] = "adversarial"
    recipe: str = "house-quantize"
    budget: Budget = Budget(steps=400)
    overrides: Overrides = {}
    teacher: Literal["original", "student"] = "original"
    weight_bits: Bits = 8
    activation_bits: Bits = 8
    edge_bits: Bits | None = None
    float_layers: tuple[str, ...] = ()
    calibration_images: Count = 1_024
    weight_range: Literal["auto", "full", "half"] = "auto"
    kernels: Literal["compiled", "reference"] = "compiled"

    @property
    def exported(self) -> bool:
        """Whether there is a runtime for so many bits."""
        return min(self.weight_bits, self.activation_bits, self.edge_bits or 8) == 8

    @property
    def tunes(self) -> bool:
        """Whether the method changes weights."""
        return self.method in ("adversarial", "frozen", "fresh")

    @property
    def draws(self) -> bool:
        """Whether the method needs a generator's images."""
        return self.method not in ("batch-norm-images", "noise")

    @property
    def continues(self) -> bool:
        """Whether the generator that taught the student is used again, if there is one."""
        return self.method in ("adversarial", "frozen", "generator-images")


class ExportSection(Section):
    """How the graphs are written.

    Attributes:
        opset: 13 for the oldest devices, 17 for all others. int8 with float16 elsewhere needs, and
            has, 19.
        batch: A fixed number of images; left out, any number.
        preprocessing: Take uint8 pixels and normalise them inside the graph.
    """

    opset: Literal[13, 17] = 17
    batch: Annotated[int, Field(ge=1, le=4_096)] | None = None
    preprocessing: bool = False


class GateSection(Section):
    """What the verdict asks for, fixed before the run.

    Attributes:
        agreement: The share of probe images on which the compiled student must answer as the
            teacher does: pass when the interval's lower bound reaches it, fail when the upper
            bound does not, inconclusive between.
        confidence: Of the Wilson interval.
        images: Probe images, at least 2,000.
        generators: Held-out generators that draw them, each from a seed of its own.
        rounds: Steps for which each of them is taught by the teacher.
    """

    agreement: Annotated[float, Field(gt=0, lt=1)] = 0.9
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    images: Annotated[int, Field(ge=2_000, le=MOST)] = 2_000
    generators: Annotated[int, Field(ge=1, le=8)] = 2
    rounds: Count = 400


class RunConfig(Section):
    """A whole run file.

    Attributes:
        private: Keep the probes, and pictures of them, out of the bundle: what a generator draws
            may show something of what the teacher was trained on. They stay in the store, and go
            to devices that build engines, which need them.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,127}$")]
    teacher: TeacherSection
    input: InputSection
    student: Literal["same"] | StudentSection
    distill: DistillSection = DistillSection()
    quantize: QuantizeSection = QuantizeSection()
    export: ExportSection = ExportSection()
    targets: Annotated[tuple[str, ...], Field(min_length=1)] = ("local-cpu",)
    gate: GateSection = GateSection()
    private: bool = False
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    device: Literal["auto", "cpu", "cuda"] = "auto"

    @field_validator("student", mode="before")
    @classmethod
    def _same_or_section(cls, student: object) -> object:
        if student != "same" and not isinstance(student, (dict, StudentSection)):
            raise ValueError("must be same, or a section such as {architecture: lenet5-half}")
        return student

    @model_validator(mode="after")
    def _images_fit_into_memory(self) -> "RunConfig":
        pixels = prod(self.input.shape)
        probe = pixels + 4 * self.teacher.classes + 64
        sizes = {
            "gate.images": self.gate.images * probe,
            "quantize.calibration_images": self.quantize.calibration_images * 4 * pixels,
            "distill.overrides.batch": self.distill.overrides.get("batch", 1) * 4 * pixels,
            "quantize.overrides.batch": self.quantize.overrides.get("batch", 1) * 4 * pixels,
            "export.batch": (self.export.batch or 1) * 4 * pixels,
        }
        for key, size in sizes.items():
            if size > MAX_FILE_BYTES:
                raise ValueError(
                    f"{key}: so many images of shape {list(self.input.shape)} take more than "
                    f"{MAX_FILE_BYTES:,} bytes; take fewer or smaller ones"
                )
        return self
