"""NNCF's fake-quantizers, as TensorRT and ONNX Runtime want them. All of NNCF's glue is here.

Weights symmetric per output channel, activations symmetric signed per tensor, zero point 0.
"""

import contextlib
import logging
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nncf
import torch
from nncf.quantization.advanced_parameters import AdvancedQuantizationParameters, OverflowFix
from nncf.torch.extensions import ExtensionLoaderTimeoutException
from nncf.torch.function_hook.wrapper import get_hook_storage
from nncf.torch.quantization import extensions
from nncf.torch.quantization.layers import SymmetricQuantizer
from nncf.torch.quantization.reference import ReferenceQuantizedFunctions
from torch import Tensor, nn

from pipeline.batch_norm_folding import folded
from pipeline.errors import InputError

KERNEL_BUILD_SECONDS = 300
"""How long the one-time build of NNCF's C++ kernels may take."""


LAYERS = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)
"""Modules with weights that run on integer kernels."""


def prepare(network: nn.Module, calibration: Tensor, half_range: bool) -> nn.Module:
    """A copy with batch norms folded, fake-quantizers placed and their ranges calibrated.

    Args:
        network: A float student.
        calibration: (N, C, H, W) images from which activation ranges are taken.
        half_range: Keep int8 weights within +-64.

    Raises:
        InputError: When the quantizer kernels cannot be built, or a layer was left in float.
    """
    _require_kernels(calibration.device)
    batches = nncf.Dataset(list(calibration.split(64)))
    overflow = OverflowFix.ENABLE if half_range else OverflowFix.DISABLE
    with _quiet():
        network = nncf.quantize(
            folded(network),
            batches,
            preset=nncf.QuantizationPreset.PERFORMANCE,
            target_device=nncf.TargetDevice.ANY,
            subset_size=len(list(calibration.split(64))),
            advanced_parameters=AdvancedQuantizationParameters(overflow_fix=overflow),
        )
    for _, quantizer in quantizers(network):
        # After a ReLU, NNCF counts from 0 to 255; TensorRT takes signed int8 only.
        quantizer.signed = True
        quantizer.set_levels()
    _require_quantized_layers(network)
    return network


def quantizers(network: nn.Module) -> Iterator[tuple[str, SymmetricQuantizer]]:
    """Every fake-quantizer with its place in the network."""
    for name, hook in get_hook_storage(network).named_hooks():
        if isinstance(hook, SymmetricQuantizer):
            yield name, hook


def describe(network: nn.Module) -> dict[str, Any]:
    """NNCF's JSON description of where the fake-quantizers of a prepared network sit."""
    return nncf.torch.get_config(network)  # type: ignore[no-any-return]


def restore(network: nn.Module, description: dict[str, Any], state: dict[str, Tensor]) -> nn.Module:
    """The prepared network that `describe` described, from the float one and its saved state."""
    with _quiet():
        restored: nn.Module = nncf.torch.load_from_config(folded(network), description)
    restored.load_state_dict(state)
    for _, quantizer in quantizers(restored):
        quantizer.set_levels()
    return restored.eval()


def to_torch_quantizers(network: nn.Module, example: Tensor) -> nn.Module:
    """Exchange NNCF's quantizers for torch's own, which export to QuantizeLinear and back."""
    with _quiet():
        stripped: nn.Module = nncf.strip(
            network.eval(), strip_format=nncf.StripFormat.NATIVE, example_input=example
        )
    return stripped


def layers_in_order(network: nn.Module, example: Tensor) -> list[nn.Module]:
    """Convolutions and linear layers in the order in which a pass calls them."""
    called: list[nn.Module] = []
    handles = [
        module.register_forward_hook(lambda layer, *_: called.append(layer))
        for module in network.modules()
        if isinstance(module, LAYERS)
    ]
    with torch.no_grad():
        network(example)
    for handle in handles:
        handle.remove()
    return called


def _require_kernels(device: torch.device) -> None:
    """Where the C++ build fails, NNCF goes on with slow Python operations and a log line."""
    if device.type != "cpu":
        return
    os.environ.setdefault("NNCF_EXTENSION_LOAD_TIMEOUT", str(KERNEL_BUILD_SECONDS))
    # The build calls ninja, which pip puts beside this Python and not always on the path.
    beside_python = str(Path(sys.executable).parent)
    os.environ["PATH"] = os.pathsep.join([os.environ.get("PATH", ""), beside_python])
    _drop_stale_lock()
    try:
        with _quiet():
            kernel = extensions.QuantizedFunctionsCPU.get("Quantize_forward")
    except ExtensionLoaderTimeoutException:
        raise InputError(
            f"NNCF's quantizer kernels took over {KERNEL_BUILD_SECONDS} s to build; "
            f"set NNCF_EXTENSION_LOAD_TIMEOUT to more seconds"
        ) from None
    if kernel is ReferenceQuantizedFunctions.Quantize_forward:
        raise InputError(
            "NNCF's quantizer kernels could not be built: install a C++ compiler and Python's "
            "headers (on Debian: g++ python3-dev)"
        )


def _drop_stale_lock() -> None:
    """An interrupted build leaves a lock on which every later build would wait for ever."""
    lock = Path(extensions.QuantizedFunctionsCPULoader.get_build_dir()) / "lock"
    with contextlib.suppress(FileNotFoundError):
        if time.time() - lock.stat().st_mtime > KERNEL_BUILD_SECONDS:
            lock.unlink()


def _require_quantized_layers(network: nn.Module) -> None:
    placed = {name for name, _ in quantizers(network)}
    for name, module in network.named_modules():
        if isinstance(module, LAYERS):
            place = f"pre_hooks.{name.replace('.', '/')}/"
            if not any(p.startswith(place) and p.endswith("__1.0") for p in placed):
                raise InputError(f"quantize: NNCF left the layer {name} in float")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the progress bars and remarks of NNCF and torchao, which would break into ours."""
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(logging.NOTSET)
