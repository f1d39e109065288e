"""Give a student the teacher's weights to start from.

A layer of the student corresponds to the teacher's layer of the same name. Where it has fewer
channels, it takes the teacher's output channels of largest norm, and the layers behind it take the
matching input channels (Li et al. 2017, "Pruning Filters for Efficient ConvNets"). Channels that
are added together are chosen together.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from base.errors import InputError
from pipeline.config.schema import RunConfig
from pipeline.teachers.channel_choice import ChannelChoice
from pipeline.teachers.networks import image_spec


@dataclass(frozen=True)
class TeacherStart:
    """How much of a student comes from its teacher.

    Attributes:
        layers: Number of the student's layers with the teacher's weights.
        all_layers: Number of all its layers with weights.
        weights: Number of parameters in these layers.
        all_weights: Number of all its parameters.
    """

    layers: int
    all_layers: int
    weights: int
    all_weights: int

    def __str__(self) -> str:
        share = 100 * self.weights / max(1, self.all_weights)
        return (
            f"{self.layers} of {self.all_layers} layers from the teacher, "
            f"{share:.0f} % of the weights"
        )


def start_student(config: RunConfig, student: nn.Module, teacher: nn.Module) -> TeacherStart | None:
    """Give a new student the weights that the run file's `student.start` asks for.

    Args:
        config: The run file.
        student: The student with random weights, which may be changed.
        teacher: The teacher, on the same device.

    Returns:
        How much of the student comes from the teacher, or None if nothing shall.

    Raises:
        InputError: If no layer of the student corresponds to one of the teacher.
    """
    if config.student == "same" or config.student.start == "random":
        return None
    spec = image_spec(config.input)
    device = next((tensor.device for tensor in student.state_dict().values()), None)
    blank = spec.normalise(torch.zeros(2, *spec.shape, device=device))
    start = start_from_teacher(student, teacher, blank)
    if not start.layers:
        raise InputError(
            f"student.start: teacher is not possible: no layer of {config.student.label} has the "
            f"name of a layer of {config.teacher.label} and a shape that can be cut from it; "
            "choose a student of the teacher's family, or set student.start: random"
        )
    return start


@torch.no_grad()
def start_from_teacher(student: nn.Module, teacher: nn.Module, example: Tensor) -> TeacherStart:
    """Copy the teacher's weights into each corresponding layer of a student.

    Layers without a counterpart keep their weights. So do layers with more channels, or another
    kernel size, than the teacher's, and layers whose channels cannot be cut consistently.

    Args:
        student: The student, which is changed. It is on the device of `example`.
        teacher: The teacher. It is on the same device.
        example: (N, C, H, W) images.

    Raises:
        InputError: If a network cannot be copied or traced.

    Example:
        >>> str(start_from_teacher(nn.Linear(4, 2), nn.Linear(4, 2), torch.zeros(1, 4)))
        '1 of 1 layers from the teacher, 100 % of the weights'
    """
    targets, sources = student.state_dict(), teacher.state_dict()
    layers = _layers(student)
    shared = {
        name for names in layers.values() if _correspond(names, targets, sources) for name in names
    }
    positions = ChannelChoice(student, teacher, example, shared).positions() if shared else {}
    copied = [path for path, names in layers.items() if shared.issuperset(names)]
    copied = [path for path in copied if all(name in positions for name in layers[path])]
    for path in copied:
        for name in layers[path]:
            source = sources[name]
            for axis, chosen in enumerate(positions[name]):
                index = torch.from_numpy(chosen).to(source.device)
                source = source.index_select(axis, index)
            targets[name].copy_(source)
    counts = {path: _parameter_count(student.get_submodule(path)) for path in layers}
    weights = sum(counts[path] for path in copied)
    return TeacherStart(len(copied), len(layers), weights, sum(counts.values()))


def _layers(network: nn.Module) -> dict[str, list[str]]:
    """Return the names of the saved tensors of each module that has parameters of its own."""
    state = network.state_dict()
    found = {}
    for path, module in network.named_modules():
        if any(True for _ in module.parameters(recurse=False)):
            tensors = {**module._parameters, **module._buffers}
            names = [f"{path}.{name}" if path else name for name in tensors]
            found[path] = [name for name in names if name in state]
    return found


def _parameter_count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters(recurse=False))


def _correspond(names: list[str], targets: dict[str, Tensor], sources: dict[str, Tensor]) -> bool:
    """Return whether the teacher has tensors of these names that can be cut to the shapes."""
    if not all(name in sources for name in names):
        return False
    pairs = [(targets[name].shape, sources[name].shape) for name in names]
    return all(
        len(wanted) == len(given)
        and wanted[2:] == given[2:]
        and all(few <= many for few, many in zip(wanted, given, strict=True))
        for wanted, given in pairs
    )
