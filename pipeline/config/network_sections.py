"""The sections of the run file that describe networks. Imports no torch."""

from typing import Annotated, Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from pipeline.config.network_values import FactoryArguments, Output
from pipeline.config.section import MAX_COUNT, Section

Width = Annotated[float, Field(gt=0, le=64)]


class NetworkSection(Section):
    """The keys that describe a network, of a teacher or of a student."""

    architecture: str
    width: Width = 1.0
    factory_arguments: FactoryArguments = Field(default={})
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
            "start": "random",
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


class StudentSection(NetworkSection):
    """The network that is trained.

    Attributes:
        architecture: As for the teacher.
        width: As for the teacher.
        factory_arguments: As for the teacher.
        output: As for the teacher.
        start: The weights before training: "random", or those of the "teacher" for layers of the
            same name. A layer with fewer channels takes the teacher's channels of largest norm.
    """

    start: Literal["random", "teacher"] = "random"

    @property
    def label(self) -> str:
        """The architecture."""
        return self.architecture
