"""The schema of the run file. Imports no torch."""

from math import prod
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from base.untrusted_files import MAX_FILE_BYTES
from pipeline.config.input_section import InputSection
from pipeline.config.network_sections import StudentSection, TeacherSection
from pipeline.config.section import Section
from pipeline.config.sections import DistillSection, ExportSection, GateSection, QuantizeSection


class RunConfig(Section):
    """The run file.

    Attributes:
        name: The bundle's name.
        teacher: The trained network.
        input: The images.
        student: "same" to quantize the teacher itself, or a section.
        distill: How the student is trained.
        quantize: How the student is quantized.
        export: How the graphs are written.
        targets: The devices to compile for.
        gate: What the verdict requires.
        private: Keep the probes and pictures of them out of the bundle, because generated images
            may reveal training data. They stay in the store, and devices that build engines get
            them.
        seed: The seed of all random numbers.
        device: Where to train; "auto" uses CUDA if available.
        precision: Data type of the networks in training. "bfloat16" is faster on a CPU with
            AVX512-BF16 or AMX and on a GPU; "auto" chooses it there. Networks that it would slow
            down on a CPU, and fake-quantized networks, use float32 in any case.
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
    precision: Literal["auto", "float32", "bfloat16"] = "auto"

    @field_validator("student", mode="before")
    @classmethod
    def _check_student(cls, student: object) -> object:
        if student != "same" and not isinstance(student, (dict, StudentSection)):
            raise ValueError("must be same, or a section such as {architecture: lenet5-half}")
        return student

    @model_validator(mode="after")
    def _check_memory(self) -> "RunConfig":
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
                    f"{MAX_FILE_BYTES:,} bytes; use fewer or smaller ones"
                )
        return self
