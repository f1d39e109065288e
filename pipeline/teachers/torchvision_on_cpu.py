"""Import torchvision beside a CPU build of torch.

torchvision's wheels are CUDA builds: their compiled operators do not load beside a CPU torch, and
the import then stops at two operators whose schemas are missing. Declaring the schemas is enough
for models and transforms (`torchvision.ops.nms` itself stays unavailable). Where torch has CUDA,
nothing is declared.
"""

from types import ModuleType

import torch


def import_torchvision() -> ModuleType:
    """torchvision, made importable where it is not."""
    try:
        import torchvision
    except RuntimeError:
        library = torch.library.Library("torchvision", "DEF")
        library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _KEEP.append(library)
        import torchvision
    module: ModuleType = torchvision
    return module


_KEEP: list[torch.library.Library] = []
"""A library's definitions live as long as the object."""
