"""The teachers of the MNIST table, and how to load one."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from benchmarks.data import MNIST_INPUT
from dfkd.images import ImageSpec
from pipeline.config.network_sections import TeacherSection
from pipeline.teachers.loading import load_teacher, parse_weights

PROJECT = Path(__file__).parents[2]

EXTERNAL = "TEACHERS"
"""First part of the path of weights that are not in this repository."""

CLASSES = 10
"""Number of classes in every data set of the table."""


@dataclass(frozen=True)
class TeacherCard:
    """A teacher of the table.

    Attributes:
        architecture: A key of `dfkd.models.ARCHITECTURES`.
        weights: A file of this repository, or "TEACHERS/..." for a teacher trained by others.
        batch_norm: Whether it has batch norm.
        width: Multiplier of the layer widths.
        data: The data set it was trained on.
        spec: Shape, normalization and value range of its input images.
        student: Architecture of its student. LeNet-5-half-bn has batch norm during training; the
            export folds it into the convolutions.
    """

    architecture: str
    weights: str
    batch_norm: bool = False
    width: float = 1.0
    data: str = "mnist"
    spec: ImageSpec = MNIST_INPUT
    student: str = "lenet5-half-bn"

    @property
    def external(self) -> bool:
        """Whether the weights are not in this repository."""
        return self.weights.startswith(f"{EXTERNAL}/")

    def load(self, external: Path) -> nn.Module:
        """Return the teacher, frozen and in eval mode.

        Args:
            external: The folder of teachers trained by others.
        """
        relative = Path(self.weights)
        path = external / relative.relative_to(EXTERNAL) if self.external else PROJECT / relative
        section = TeacherSection(
            weights=str(path), architecture=self.architecture, width=self.width, classes=CLASSES
        )
        state = parse_weights(path.read_bytes(), str(path))
        return load_teacher(section, self.spec, state, torch.device("cpu"))


def _own(name: str) -> str:
    return f"benchmarks/teachers/{name}/teacher.safetensors"


TEACHERS = {
    "lenet5-bn": TeacherCard("lenet5-bn", _own("lenet5-bn"), batch_norm=True),
    "lenet5": TeacherCard("lenet5", "examples/mnist_lenet5/teacher.safetensors"),
    "outside-lenet5": TeacherCard("lenet5", f"{EXTERNAL}/mnist_lenet5/mnist_cnn.pt"),
    "smoothed": TeacherCard("lenet5", _own("smoothed")),
    "mixup": TeacherCard("lenet5", _own("mixup")),
    "resnet20": TeacherCard("resnet20", _own("resnet20"), batch_norm=True, width=0.5),
    "wrn-16-1": TeacherCard("wrn-16-1", _own("wrn-16-1"), batch_norm=True, width=0.5),
    "fashion": TeacherCard("lenet5", _own("fashion"), data="fashion-mnist"),
    "cifar10-resnet20": TeacherCard(
        "resnet20",
        f"{EXTERNAL}/cifar10_resnet20/resnet20-12fca82f.th",
        batch_norm=True,
        data="cifar10",
        spec=ImageSpec((3, 32, 32), (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        student="resnet20",
    ),
}
"""Teachers by their names in the table."""

CIFAR_TEACHER = "cifar10-resnet20"

MAIN_TEACHERS = ("lenet5-bn", "lenet5")
"""The teachers with which every recipe is run."""
