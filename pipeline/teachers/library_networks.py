"""Build a model of torchvision or timm by its name, always with new weights."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from base.errors import InputError, first_line
from base.suggest import did_you_mean
from dfkd.models import ARCHITECTURES
from pipeline.config.architecture_names import is_explicit, kind_and_name
from pipeline.teachers.factories import called
from pipeline.teachers.torchvision_on_cpu import import_torchvision


def torchvision_network(architecture: str, classes: int, arguments: Mapping[str, Any]) -> nn.Module:
    """Return a model of torchvision.

    Args:
        architecture: Its name, with or without `torchvision:`.
        classes: Number of logits.
        arguments: More keyword arguments for `torchvision.models.get_model`.

    Raises:
        InputError: If there is no such model, or it does not take the arguments.
    """
    _, name = kind_and_name(architecture)
    models = import_torchvision().models
    known = models.list_models()
    if name in known:
        given = {"name": name, "weights": None, "num_classes": classes, **arguments}
        return called(models.get_model, given, architecture, "get_model")
    if is_explicit(architecture):
        raise InputError(
            f"architecture {architecture}: torchvision has no model {name!r}"
            f"{did_you_mean(name, known)}"
        )
    raise InputError(
        f"architecture {architecture!r} is neither in the registry nor in torchvision"
        f"{did_you_mean(architecture, [*ARCHITECTURES, *known])} "
        "(for a network of your own: package.module:factory; for a model of timm: timm:NAME)"
    )


def timm_network(
    architecture: str, channels: int, classes: int, arguments: Mapping[str, Any]
) -> nn.Module:
    """Return a model of timm.

    Args:
        architecture: `timm:NAME`; the name may have a tag, as in resnet50.a1_in1k.
        channels: Number of input channels.
        classes: Number of logits.
        arguments: More keyword arguments for `timm.create_model`.

    Raises:
        InputError: If timm cannot be imported, has no such model, or the model does not take the
            arguments.
    """
    _, name = kind_and_name(architecture)
    import_torchvision()
    try:
        import timm
    except Exception as error:  # An import can raise anything.
        raise InputError(
            f"architecture {architecture}: importing timm failed: {first_line(error)}; "
            "run: pip install 'datafree-edge[timm]'"
        ) from None
    # Accept only listed names: create_model also reads local folders and downloads from a hub.
    known = timm.list_models()
    if name not in known and name not in timm.list_pretrained():
        raise InputError(
            f"architecture {architecture}: timm has no model {name!r}{did_you_mean(name, known)}"
        )
    given = {"pretrained": False, "num_classes": classes, "in_chans": channels, **arguments}
    return called(timm.create_model, {"model_name": name, **given}, architecture, "create_model")


def fits_torchvision(name: str, classes: int, state: Mapping[str, Tensor]) -> bool:
    """Return whether names and shapes of weights fit torchvision's model of this name."""
    models = import_torchvision().models
    if name not in models.list_models():
        return False
    with torch.device("meta"):
        expected = models.get_model(name, weights=None, num_classes=classes).state_dict()
    # Files of old torch versions lack this counter.
    required = {key for key in expected if not key.endswith("num_batches_tracked")}
    return required <= state.keys() <= expected.keys() and all(
        state[key].shape == expected[key].shape for key in state
    )
