"""The sections of the run file. Imports no torch."""

from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PositiveFloat,
    PositiveInt,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

from pipeline.config.network_values import FactoryArguments, Output
from pipeline.config.picture_keys import PICTURE_KEYS, Size, check_picture_size

MAX_COUNT = 10**6
"""The largest number of images, rounds or classes. More is a typing error, and could fill the
memory before anything else fails."""

Count = Annotated[int, Field(ge=1, le=MAX_COUNT)]

Overrides = dict[str, Annotated[float, Field(ge=-MAX_COUNT, le=MAX_COUNT)]]

Width = Annotated[float, Field(gt=0, le=64)]

MIN_CONTRAST = 0.1
"""Smallest accepted width of the value range, in standard deviations. Networks are trained with 1
(values from 0 to 1 as they are) or more; values from 0 to 1 with std 255 give 0.004."""

MEAN_TOLERANCE = 0.01
"""How far a mean may be outside the value range, relative to the width of the range."""

Bits = Annotated[int, Field(ge=2, le=8)]


class Section(BaseModel):
    """A section of the run file. Unknown keys and infinite numbers are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class NetworkSection(Section):
    """The keys that describe a network, of a teacher or of a student."""

    architecture: str
    width: Width = 1.0
    factory_arguments: FactoryArguments = {}
    output: Output = None

    @model_serializer(mode="wrap")
    def _without_unset(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what is not set, so that fingerprints of older run files stay the same."""
        unset: dict[str, Any] = {
            "architecture": "",
            "factory_arguments": {},
            "output": None,
            "trusted": False,
            "weights_key": None,
        }
        values: dict[str, Any] = dump(self)
        return {k: v for k, v in values.items() if k not in unset or v != unset[k]}


class TeacherSection(NetworkSection):
    """The trained network.

    Attributes:
        weights: A state dict, or a checkpoint that holds one, as safetensors or torch save it; or a
            file that holds the network too: an ONNX graph, an exported program (.pt2) or
            TorchScript. A path relative to the run file, or a URL.
        weights_key: Which state dict to use if the file holds several: its keys in the file, joined
            by dots, such as `state_dict_ema`. It may end with the prefix of the weights' names,
            such as `state_dict.ema_model`.
        architecture: A name in the registry, a torchvision model, `torchvision:NAME`, `timm:NAME`,
            or `package.module:factory`. Leave it out if the file holds the network.
        width: Multiplier of the hidden widths, for registry architectures only.
        factory_arguments: Keyword arguments for a factory, or for a model of torchvision or timm:
            numbers, texts, `true`, `false`, `null`, or lists of these.
        output: Which output has the logits, if the network returns several: a position (from 0), or
            a name. It has no effect on a network that returns one tensor.
        classes: Number of classes.
        class_names: Their names, in order; optional.
        trusted: Whether loading the file may run code from it. Exported programs and TorchScript
            need it; no other file runs code.
    """

    weights: str
    weights_key: str | None = None
    architecture: str = ""
    trusted: bool = False
    classes: Annotated[int, Field(ge=2, le=MAX_COUNT)]
    class_names: tuple[str, ...] = ()

    @property
    def holds_network(self) -> bool:
        """Whether the file must hold the network, because no architecture is given."""
        return not self.architecture

    @property
    def label(self) -> str:
        """The architecture, or the file's name if the file holds the network."""
        return self.architecture or self.weights.rpartition("/")[2]

    @model_validator(mode="after")
    def _check_file(self) -> "TeacherSection":
        given = {
            "width": self.width != 1.0,
            "factory_arguments": bool(self.factory_arguments),
            "weights_key": self.weights_key is not None,
        }
        if self.holds_network and any(given.values()):
            key = next(key for key, is_given in given.items() if is_given)
            raise ValueError(f"{key} has no effect without architecture; remove it")
        return self

    @model_validator(mode="after")
    def _check_class_names(self) -> "TeacherSection":
        if self.class_names and len(self.class_names) != self.classes:
            raise ValueError(f"{len(self.class_names)} class_names for {self.classes} classes")
        return self


class InputSection(Section):
    """The images.

    Attributes:
        shape: [channels, height, width].
        mean: One value per channel; the teacher gets (raw - mean) / std.
        std: One value per channel.
        value_range: The smallest and the largest raw value.
        resize: How `score` and `predict` resize your pictures: the length of the shorter side, or
            [height, width]. If left out, to the size in `shape`; with `crop`, not at all.
        crop: The centre that they cut out then: [height, width], or one number for both. Smaller
            pictures get a black border.
        interpolation: How they compute the pixels of a resized picture: as Pillow does.
    """

    shape: tuple[PositiveInt, PositiveInt, PositiveInt]
    mean: tuple[float, ...]
    std: tuple[PositiveFloat, ...]
    value_range: tuple[float, float] = (0.0, 1.0)
    resize: Size | None = None
    crop: Size | None = None
    interpolation: Literal["bilinear", "bicubic", "nearest"] = "bilinear"

    @model_validator(mode="after")
    def _check_lengths(self) -> "InputSection":
        for name in ("mean", "std"):
            given = len(getattr(self, name))
            if given != self.shape[0]:
                raise ValueError(
                    f"{name} has {given} values for {self.shape[0]} channels; "
                    "shape is [channels, height, width]"
                )
        if self.value_range[0] >= self.value_range[1]:
            raise ValueError("value_range must be [smallest, largest]")
        check_picture_size(self.shape, self.resize, self.crop)
        return self

    @model_validator(mode="after")
    def _check_normalization(self) -> "InputSection":
        """Refuse a mean that no image can have, and a std that makes all images alike."""
        low, high = self.value_range
        width, ends = high - low, f"value_range [{low:g}, {high:g}]"
        remedy = "give mean, std and value_range in the same units"
        for mean, std in zip(self.mean, self.std, strict=True):
            unchanged = (mean, std) == (0, 1)
            outside = max(low - mean, mean - high) > MEAN_TOLERANCE * width
            if outside and not unchanged:
                raise ValueError(f"mean {mean:g} is outside {ends}; {remedy}")
            if width / std < MIN_CONTRAST:
                raise ValueError(
                    f"std {std:g} makes all images nearly constant: {ends} is only "
                    f"{width / std:.2g} standard deviations wide, and at least {MIN_CONTRAST:g} "
                    f"is required; {remedy}"
                )
        return self

    @model_serializer(mode="wrap")
    def _without_defaults(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out defaults of newer keys, so that digests of older run files stay the same."""
        values: dict[str, Any] = dump(self)
        return {k: v for k, v in values.items() if k not in PICTURE_KEYS or v != PICTURE_KEYS[k]}


class StudentSection(NetworkSection):
    """The network that is trained.

    Attributes:
        architecture: As for the teacher.
        width: As for the teacher.
        factory_arguments: As for the teacher.
        output: As for the teacher.
    """

    @property
    def label(self) -> str:
        """The architecture."""
        return self.architecture


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
    overrides: Overrides = {}


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
        weight_range: "half" keeps int8 weights within +-64, for CPUs whose int8 kernels saturate
            (x86 without VNNI); "auto" uses half if one of the targets is such a CPU.
        kernels: "compiled" needs a compiler (nvcc on CUDA); "reference" needs none and is slower.
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
    float_layers: tuple[str, ...] | Literal["auto"] = ()
    calibration_images: Count = 1_024
    adjust: Literal["auto", "off"] = "auto"
    weight_range: Literal["auto", "full", "half"] = "auto"
    kernels: Literal["compiled", "reference"] = "compiled"

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
        opset: 13 for the oldest devices, else 17. The form with int8 and float16 always has 19.
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
        rounds: Rounds for which each of them is trained from the teacher. If left out, as many as
            cost no more than the rest of the run (see "The verdict" in docs/methods.md).
    """

    agreement: Annotated[float, Field(gt=0, lt=1)] = 0.9
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    images: Annotated[int, Field(ge=2_000, le=MAX_COUNT)] = 2_000
    generators: Annotated[int, Field(ge=1, le=8)] = 2
    rounds: Count | None = None
