"""A network in the form that is quantized and exported."""

from collections import Counter
from collections.abc import Callable
from itertools import chain
from typing import Any, cast

import torch
from nncf.torch.function_hook.handle_inner_functions import get_handle_inner_function
from nncf.torch.function_hook.wrapper import wrap_model
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from base.errors import InputError
from pipeline.tracing.call_arguments import (
    ARGUMENTS,
    by_position,
    is_size_arithmetic,
    output_size,
    with_padding_sizes,
)
from pipeline.tracing.explicit_forms import (
    adaptive_avg_pool2d,
    is_global,
    local_response_norm,
    rms_norm,
    scaled_dot_product_attention,
)
from pipeline.tracing.layers import ChannelStatistics
from pipeline.tracing.operations import LAYERS, PRODUCTS
from pipeline.tracing.tensor_contraction import einsum, products_of

NETWORK_PREFIX, STORED_PREFIX = "network.", "stored_weights."
"""Prefix of all parameter names; messages leave it out."""

COMPUTED, PRODUCT = "a computed weight", "a matrix product"

EXPLICIT_FORMS: dict[Callable[..., Any], Callable[..., Any]] = {
    functional.scaled_dot_product_attention: scaled_dot_product_attention,
    functional.adaptive_avg_pool2d: adaptive_avg_pool2d,
    functional.local_response_norm: local_response_norm,
    functional.rms_norm: rms_norm,
}

SIZES = (torch.Tensor.shape.__get__, torch.Tensor.size)  # type: ignore[attr-defined]


class FixedForm(nn.Module):
    """A wrapper that runs a network in eval mode and changes how its torch functions are called.

    NNCF adds a child module with its hooks to the module that it is given. That module must be a
    wrapper: a network that iterates over its own children would call the added child.
    The forward pass:

    - skips folded batch norms, without removing their modules;
    - computes all other batch norms with their stored statistics;
    - replaces the functions in `explicit_forms`;
    - passes the inputs and weights of layers by position;
    - raises an error if a layer is called more often than in the trace.

    Args:
        network: Any network that maps images to logits. It becomes a part of this module.

    Attributes:
        folded: Names of the running means of folded batch norms.
        statistics: Statistics of the output of each layer with a folded batch norm, by the layer's
            name. They are no part of the state dict.
        stored_weights: Values of weights that the network computes, by the name of the layer with
            "/" for ".". They replace the computed weights.
        stored_at: The key of the stored weight for each layer call with a computed weight, by the
            number of that call.
        computed_weights: The weights that the last forward pass computed, by number of the call.
        calls: Number of calls in the trace: for each weight by name, for all layers with computed
            weights together (`COMPUTED`), and for all matrix products together (`PRODUCT`). None
            before the trace.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network.eval()
        self.folded: set[str] = set()
        self.statistics: dict[str, ChannelStatistics] = {}
        self.calls: Counter[str] | None = None
        self.stored_weights = nn.ParameterDict()
        self.stored_at: dict[int, str] = {}
        self.computed_weights: dict[int, Tensor] = {}
        wrap_model(self)

    def train(self, mode: bool = True) -> "FixedForm":
        """Set the mode of the quantizers only; the network stays in eval mode."""
        super().train(mode)
        self.network.eval()
        return self

    def forward(self, images: Tensor) -> Tensor:
        """Return the network's logits.

        Raises:
            InputError: If a layer is called more often than in the trace.
        """
        with _Form(self, int(images.shape[0])):
            logits: Tensor = self.network(images)
        return logits

    def get_tensor(self, name: str) -> Tensor:
        """Return a parameter or buffer by name."""
        path, _, attribute = name.rpartition(".")
        tensor: Tensor = getattr(self.get_submodule(path), attribute)
        return tensor

    def store_computed_weights(self, names: dict[int, str], images: Tensor) -> None:
        """Replace weights that the network computes by their values.

        Args:
            names: The layer's name, by the number of the call among those with computed weights.
            images: (N, C, H, W) example images.
        """
        with torch.no_grad():
            self(images)
        for call, name in names.items():
            key = name.replace(".", "/")
            self.stored_at[call] = key
            if key not in self.stored_weights:
                value = self.computed_weights[call].detach().clone()
                self.stored_weights[key] = nn.Parameter(value)
        self.computed_weights = {}

    @property
    def compared_layers(self) -> Callable[[], Any]:
        """The network's `compared_layers`, which returns the modules whose outputs are compared."""
        method: Any = self.network.compared_layers
        return cast(Callable[[], Any], method)

    @property
    def folded_tensors(self) -> set[int]:
        """Return the identities of the running means of folded batch norms."""
        return {id(self.get_buffer(name)) for name in self.folded}


class _Form(TorchFunctionMode):
    def __init__(self, root: FixedForm, images: int) -> None:
        super().__init__()
        self.images = images
        self.folded = root.folded_tensors
        tensors = chain(root.named_parameters(), root.named_buffers())
        self.names = {id(tensor): name for name, tensor in tensors}
        self.root = root
        self.computed = 0
        self.expected = root.calls
        self.seen: Counter[str] = Counter()

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if is_size_arithmetic(args, kwargs):
            with torch._C.DisableTorchFunction():
                return func(*args, **kwargs)
        name = getattr(func, "__name__", "")
        if func is functional.batch_norm:
            return self._batch_norm(*args, **kwargs)
        if func in SIZES:
            return self._known_sizes(func, args, kwargs)
        if func is functional.adaptive_avg_pool2d and is_global(output_size(args, kwargs)):
            return func(*args, **kwargs)
        if func is torch.einsum:
            products = products_of(*args)
            if products is not None:
                with self:
                    return einsum(*products)
        inner = EXPLICIT_FORMS.get(func) or get_handle_inner_function(func)
        if inner is not None:
            with self:
                return inner(*args, **kwargs)
        if name in ARGUMENTS:
            args, kwargs = by_position(ARGUMENTS[name], args, kwargs)
        if name in LAYERS:
            args, kwargs = with_padding_sizes(args, kwargs)
            if id(args[1]) not in self.names:
                args = (args[0], self._stored(args[1]), *args[2:])
            self._count(self.names.get(id(args[1]), COMPUTED))
        elif name in PRODUCTS:
            self._count(PRODUCT)
        return func(*args, **kwargs)

    def _stored(self, weight: Tensor) -> Tensor:
        """Return the stored value of a computed weight, or the weight itself."""
        call, self.computed = self.computed, self.computed + 1
        if call in self.root.stored_at:
            stored: Tensor = self.root.stored_weights[self.root.stored_at[call]]
            return stored
        if self.expected is None:
            self.root.computed_weights[call] = weight
        return weight

    def _known_sizes(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Return sizes; during export as constants, unless they may depend on the batch size.

        The exporter refuses some operations if the image size is not constant. A size that is a
        multiple of the batch size may depend on it, so it does not become a constant.
        """
        with torch._C.DisableTorchFunction():
            found = func(*args, **kwargs)
            if not torch._C._get_tracing_state():
                return found
            if isinstance(found, tuple):
                return torch.Size([self._known(size) for size in found])
            return self._known(found)

    def _known(self, size: Any) -> Any:
        return size if int(size) % self.images == 0 else int(size)

    def _batch_norm(
        self,
        input: Tensor,
        running_mean: Tensor | None,
        running_var: Tensor | None,
        weight: Tensor | None = None,
        bias: Tensor | None = None,
        training: bool = False,
        momentum: float = 0.1,
        eps: float = 1e-5,
    ) -> Tensor:
        if id(running_mean) in self.folded:
            return input
        stored = running_mean is not None and running_var is not None
        return functional.batch_norm(
            input, running_mean, running_var, weight, bias, not stored, momentum, eps
        )

    def _count(self, weight: str) -> None:
        self.seen[weight] += 1
        if self.expected is not None and self.seen[weight] > self.expected[weight]:
            raise InputError(
                f"the layer with {weight.removeprefix(NETWORK_PREFIX)} is called "
                f"{self.seen[weight]} times for some images, but {self.expected[weight]} times for "
                "the images that the network was traced with; remove branches on tensor values "
                "from the network's forward method"
            )
