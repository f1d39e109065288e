"""The teachers, their files and their test images."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.data import load_data_set
from benchmarks.photographs import teacher as lite0
from dfkd.images import ImageSpec
from pipeline.config.network_sections import TeacherSection
from pipeline.teachers.teacher_file import load_teacher_file

OPSET = 17


@dataclass(frozen=True)
class Teacher:
    """A teacher with a state dict and real test images.

    Attributes:
        architecture: As in a run file.
        classes: Number of classes.
        spec: Its images.
        weights: Takes the folder with the teachers trained by others and returns the state dict.
        test_images: Takes the folder with the real data sets and returns normalised images
            (N, C, H, W) and labels (N,).
    """

    architecture: str
    classes: int
    spec: ImageSpec
    weights: Callable[[Path], Path]
    test_images: Callable[[Path], tuple[Tensor, Tensor]]

    def export(self, teachers: Path, file: Path) -> None:
        """Write the teacher as ONNX. torch's older exporter folds every batch norm.

        Args:
            teachers: Folder with the teachers trained by others.
            file: The file to write.
        """
        weights = self.weights(teachers)
        section = TeacherSection(
            weights=str(weights), architecture=self.architecture, classes=self.classes
        )
        cpu = torch.device("cpu")
        network = load_teacher_file(weights.read_bytes(), section, self.spec, cpu).network
        blank = torch.zeros(1, *self.spec.shape)
        torch.onnx.export(
            network,
            (blank,),
            str(file),
            dynamo=False,
            opset_version=OPSET,
            input_names=["images"],
            output_names=["logits"],
            dynamic_axes={"images": {0: "n"}, "logits": {0: "n"}},
        )


def _of_data_set(name: str, spec: ImageSpec) -> Callable[[Path], tuple[Tensor, Tensor]]:
    return lambda data: load_data_set(name, data, train=False, spec=spec)


def _photographs(data: Path) -> tuple[Tensor, Tensor]:
    pixels, labels = lite0.photographs(data)
    images = lite0.SPEC.normalise(torch.from_numpy(pixels.astype(np.float32) / 255))
    return images, torch.tensor(labels)


MNIST = ImageSpec((1, 32, 32), (0.1307,), (0.3081,))

CIFAR10 = ImageSpec((3, 32, 32), (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""The ResNet-20 was trained with the normalisation of ImageNet."""

OWN = Path(__file__).parents[1] / "teachers"

TEACHERS = {
    "lenet5-bn": Teacher(
        "lenet5-bn",
        10,
        MNIST,
        lambda _: OWN / "lenet5-bn" / "teacher.safetensors",
        _of_data_set("mnist", MNIST),
    ),
    "resnet20": Teacher(
        "resnet20",
        10,
        CIFAR10,
        lambda teachers: teachers / "cifar10_resnet20" / "resnet20-12fca82f.th",
        _of_data_set("cifar10", CIFAR10),
    ),
    "efficientnet-lite0": Teacher(
        "benchmarks.photographs.teacher:lite0",
        lite0.CLASSES,
        lite0.SPEC,
        lambda _: lite0.weights_file(),
        _photographs,
    ),
}
