"""What NNCF's fake-quantizers compute with: compiled kernels, or torch's own operations by choice.

NNCF compiles a C++ extension on first use. Where that fails it goes on with Python operations and a
log line on a CPU, and fails far from the cause on CUDA.
"""

import contextlib
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import nncf
import torch
from nncf.torch.extensions import ExtensionLoaderTimeoutException
from nncf.torch.quantization import extensions, quantize_functions
from nncf.torch.quantization.reference import ReferenceQuantizedFunctions, torch_executor

from base.errors import InputError

KERNEL_BUILD_SECONDS = 300
"""How long the one-time build of NNCF's kernels may take."""

Kernels = Literal["compiled", "reference"]


class _Reference:
    """NNCF's reference operations in the place of its extension."""

    def get(self, name: str) -> Callable[..., Any]:
        operations: dict[str, Callable[..., Any]] = {
            "Quantize_forward": torch_executor.forward,
            "Quantize_backward": torch_executor.backward,
        }
        return operations[name]


def use_kernels(device: torch.device, kernels: Kernels) -> None:
    """Make every fake-quantizer of this process compute with these.

    Raises:
        InputError: When compiled ones are asked for and cannot be built; names the remedy.
    """
    name = "QuantizedFunctionsCUDA" if device.type == "cuda" else "QuantizedFunctionsCPU"
    if kernels == "reference":
        setattr(quantize_functions, name, _Reference())
        return
    setattr(quantize_functions, name, getattr(extensions, name))
    os.environ.setdefault("NNCF_EXTENSION_LOAD_TIMEOUT", str(KERNEL_BUILD_SECONDS))
    # The build calls ninja, which pip puts beside this Python and not always on the path.
    beside_python = str(Path(sys.executable).parent)
    os.environ["PATH"] = os.pathsep.join([os.environ.get("PATH", ""), beside_python])
    _drop_stale_lock()
    kernel = _built(name)
    if kernel is ReferenceQuantizedFunctions.Quantize_forward:
        raise InputError(
            "NNCF's quantizer kernels could not be built: install a C++ compiler and Python's "
            "headers (on Debian: g++ python3-dev)"
        )


def _built(name: str) -> Any:
    try:
        return getattr(extensions, name).get("Quantize_forward")
    except ExtensionLoaderTimeoutException:
        raise InputError(
            f"NNCF's quantizer kernels took over {KERNEL_BUILD_SECONDS} s to build; "
            f"set NNCF_EXTENSION_LOAD_TIMEOUT to more seconds"
        ) from None
    except nncf.InstallationError:
        raise InputError(
            "NNCF's quantizer kernels for CUDA could not be built: install CUDA's compiler "
            "(nvcc), or set quantize.kernels: reference, which is slower"
        ) from None


def _drop_stale_lock() -> None:
    """An interrupted build leaves a lock on which every later build would wait for ever."""
    lock = Path(extensions.QuantizedFunctionsCPULoader.get_build_dir()) / "lock"
    with contextlib.suppress(FileNotFoundError):
        if time.time() - lock.stat().st_mtime > KERNEL_BUILD_SECONDS:
            lock.unlink()
