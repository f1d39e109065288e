"""Find the networks whose names and shapes a state dict has: registry, torchvision and timm."""

import math
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from base.errors import InputError
from dfkd.images import ImageSpec
from dfkd.models import ARCHITECTURES
from pipeline.inspection.head_and_stem import channels_of, head_of
from pipeline.inspection.timm_families import likely_networks
from pipeline.reporter import Reporter
from pipeline.teachers.fitting import (
    is_profiler_buffer,
    is_required,
    prefixes,
    without_wrapper_parts,
)
from pipeline.teachers.networks import build_network
from pipeline.teachers.torchvision_on_cpu import import_torchvision

QUIET_S = 5.0
"""Progress is shown after this long."""

IMAGENET_CLASSES = 1_000
"""torchvision counts the parameters of its networks with this many classes."""

IMAGE_SETTINGS = ("input_size", "mean", "std")
"""Keys of timm's `pretrained_cfg`."""

AUXILIARY = re.compile(r"(?:^|\.)(?:aux1|aux2|AuxLogits)\.")


class _NoInitialisation(TorchFunctionMode):
    """Skips random numbers for meta tensors: they change nothing and take most of the time."""

    SKIPPED = ("uniform_", "normal_", "erfinv_", "clamp_", "mul_", "add_", "fill_", "zero_")

    def __init__(self, device: str) -> None:
        super().__init__()
        self._skips = device == "meta"

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Return the tensor unchanged, or call the function."""
        if self._skips and function.__name__ in self.SKIPPED and args and args[0].is_meta:
            return args[0]
        return function(*args, **(kwargs or {}))


@dataclass(frozen=True)
class Match:
    """A network that has the names and shapes of a state dict.

    Attributes:
        architecture: Its name in a run file.
        width: Its width in a run file.
        channels: Channels of its images.
        classes: Number of its classes.
        prefixes: What stands before its names in the file; several if the file holds it more than
            once.
        settings: What timm says about the images of its network, by the keys of IMAGE_SETTINGS;
            else empty.
    """

    architecture: str
    width: float
    channels: int
    classes: int
    prefixes: tuple[str, ...]
    settings: Mapping[str, Any]


class Search:
    """A search for the networks that a state dict fits.

    Args:
        state: The state dict.
        hints: Texts that may hold the name of the network, such as the file's name.
        reporter: Receives progress if the search takes long.
    """

    def __init__(self, state: Mapping[str, Tensor], hints: list[str], reporter: Reporter) -> None:
        self._state, self._hints, self._reporter = state, hints, reporter
        self._started = time.monotonic()
        head = head_of(state)
        self._head = None if head is None else state[head]
        self._channels = channels_of(state) or 3

    def matches(self) -> list[Match]:
        """Return all networks that fit, the likeliest first.

        timm is searched only if nothing else fits.
        """
        if self._head is None:
            return []
        found = [*self._in_registry(), *self._in_torchvision(), *self._hinted_in_timm()]
        return found or list(self._in_timm())

    def _in_registry(self) -> list[Match]:
        found = []
        for name in ARCHITECTURES:
            width = self._width(name)
            if width and (match := self._match(name, width)):
                found.append(match)
        # A wider or narrower network often has a name of its own.
        return [match for match in found if match.width == 1.0] or found

    def _width(self, name: str) -> float | None:
        """Return the width with which the last layer has as many inputs as in the file."""
        built = self._built(name, 1.0)
        if built is None or self._head is None:
            return None
        expected = list(built[0].values())
        last = next(tensor for tensor in reversed(expected) if tensor.dim() == 2)
        return float(self._head.shape[1] / last.shape[1])

    def _in_torchvision(self) -> Iterator[Match]:
        torchvision = import_torchvision()
        for name in torchvision.models.list_models(module=torchvision.models):
            counts = {
                weights.meta["num_params"] for weights in torchvision.models.get_model_weights(name)
            }
            if self._has_parameters(counts) and (match := self._match(f"torchvision:{name}")):
                yield match

    def _has_parameters(self, counts: set[int]) -> bool:
        """Return whether the file has as many parameters as one of torchvision's networks."""
        assert self._head is not None
        classes, inputs = self._head.shape[0], self._head.shape[1]
        other_head = (classes - IMAGENET_CLASSES) * (inputs + 1)
        parameters = [
            (name, tensor.numel())
            for name, tensor in self._state.items()
            if is_required(name) and not name.endswith(("running_mean", "running_var"))
        ]
        whole = sum(number for _, number in parameters)
        without = sum(number for name, number in parameters if not AUXILIARY.search(name))
        # Some files have a few more values, such as the weights of a loss.
        return any(
            math.isclose(found, count + other_head, rel_tol=0.01)
            for count in counts
            for found in (whole, without)
        )

    def _hinted_in_timm(self) -> Iterator[Match]:
        if find_spec("timm") is None:
            return
        import_torchvision()
        import timm

        known = [*timm.list_models(), *timm.list_pretrained()]
        for hint in self._hints:
            named = max((n for n in known if hint.startswith(n)), key=len, default=None)
            if named and (match := self._match(f"timm:{named}")):
                yield match
                return

    def _in_timm(self) -> Iterator[Match]:
        if find_spec("timm") is None:
            return
        import timm

        self._reporter.say("searching the networks of timm")
        likely, last = likely_networks(self._state, timm, self._names_in_timm), (0.0, 0.0)
        for index, (alike, share, name) in enumerate(likely):
            if (alike, share) < last:
                return
            if time.monotonic() - self._started > QUIET_S:
                self._reporter.phase("search timm", index + 1, len(likely), {})
            if match := self._match(f"timm:{name}"):
                last = (alike, share)
                yield match

    def _names_in_timm(self, name: str) -> Iterable[str]:
        built = self._built(f"timm:{name}", 1.0)
        return built[0] if built else ()

    def _match(self, architecture: str, width: float = 1.0) -> Match | None:
        built = self._built(architecture, width)
        if built is None:
            return None
        expected, settings = built
        fitting = _fitting_prefixes(self._state, expected)
        if not fitting:
            return None
        assert self._head is not None
        return Match(
            architecture, width, self._channels, self._head.shape[0], tuple(fitting), settings
        )

    def _built(
        self, architecture: str, width: float
    ) -> tuple[dict[str, Tensor], Mapping[str, Any]] | None:
        """Return the state dict of a new network and timm's settings; None if it is impossible."""
        assert self._head is not None
        zeros, ones = (0.0,) * self._channels, (1.0,) * self._channels
        spec = ImageSpec((self._channels, 32, 32), zeros, ones)
        classes = self._head.shape[0]
        for device in ("meta", "cpu"):  # A few networks of torchvision cannot be built on meta.
            try:
                with torch.device(device), _NoInitialisation(device):
                    network = build_network(architecture, width, spec, classes)
            except InputError:
                continue
            settings = getattr(network, "pretrained_cfg", {})
            return network.state_dict(), {k: settings[k] for k in IMAGE_SETTINGS if k in settings}
        return None


def _fitting_prefixes(state: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> list[str]:
    """Return the prefixes behind which a state dict has a network's tensors and no others."""
    renamed = without_wrapper_parts(state, expected)
    needed = sum(map(is_required, expected))
    fitting = []
    for prefix, count in prefixes(renamed, expected).items():
        inside = (name.removeprefix(prefix) for name in renamed if name.startswith(prefix))
        if count == needed and all(name in expected or is_profiler_buffer(name) for name in inside):
            fitting.append(prefix)
    return fitting
