"""Import torchvision beside a CPU build of torch.

torchvision's wheels are CUDA builds. Beside a CPU build of torch their compiled operators do not
load, and the import fails because the schemas of two operators are missing. Declaring the schemas
is enough for models and transforms; `torchvision.ops.nms` stays unavailable. Nothing is declared if
torch has CUDA.
"""

from types import ModuleType

import torch


def import_torchvision() -> ModuleType:
    """Import torchvision and return it, after declaring the missing schemas if necessary."""
    try:
        import torchvision
    except RuntimeError:
        library = torch.library.Library("torchvision", "DEF")
        library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _LIBRARIES.append(library)
        import torchvision
    module: ModuleType = torchvision
    return module


_LIBRARIES: list[torch.library.Library] = []
"""Keeps the library alive: its definitions are removed when the object is deleted."""
