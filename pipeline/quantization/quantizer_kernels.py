"""Select the kernels of NNCF's fake-quantizers: compiled ones, or plain torch operations.

NNCF compiles a C++ extension on first use. If that fails on a CPU, NNCF only logs a line and uses
slow Python operations; on CUDA it fails later, with an unrelated error. This module raises
InputError in both cases.
"""

import os
import shutil
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nncf
import torch
from nncf.torch.extensions import ExtensionLoaderTimeoutException
from nncf.torch.quantization import extensions, quantize_functions
from nncf.torch.quantization.reference import ReferenceQuantizedFunctions, torch_executor

from base.errors import InputError
from base.file_lock import file_lock
from pipeline.quantization.scheme import Kernels

KERNEL_BUILD_TIMEOUT_S = 300
"""Time limit of the one-time build of NNCF's kernels."""


NO_COMPILER = (
    "NNCF's quantizer kernels could not be built: install a C++ compiler and Python's headers (on "
    "Debian: g++ python3-dev), or set quantize.kernels: reference, which is slower"
)

NO_NVCC = (
    "NNCF's quantizer kernels for CUDA could not be built: install CUDA's compiler (nvcc), or set "
    "quantize.kernels: reference, which is slower"
)


class _ReferenceKernels:
    """NNCF's reference operations with the interface of its compiled extension."""

    def get(self, name: str) -> Callable[..., Any]:
        operations: dict[str, Callable[..., Any]] = {
            "Quantize_forward": torch_executor.forward,
            "Quantize_backward": torch_executor.backward,
        }
        return operations[name]


def use_kernels(device: torch.device, kernels: Kernels) -> None:
    """Set the kernels of all fake-quantizers of this process.

    Args:
        device: The device that the quantizers run on.
        kernels: "compiled" or "reference". Compiled kernels are built now if they do not exist yet.

    Raises:
        InputError: If compiled kernels are requested and cannot be built.
    """
    name = "QuantizedFunctionsCUDA" if device.type == "cuda" else "QuantizedFunctionsCPU"
    if kernels == "reference":
        setattr(quantize_functions, name, _ReferenceKernels())
        return
    setattr(quantize_functions, name, getattr(extensions, name))
    os.environ.setdefault("NNCF_EXTENSION_LOAD_TIMEOUT", str(KERNEL_BUILD_TIMEOUT_S))
    # The build calls ninja, which pip installs beside this Python. This folder must be first on
    # PATH: two versions of ninja cannot read each other's logs, and both would rebuild.
    beside_python = str(Path(sys.executable).parent)
    if not os.environ.get("PATH", "").startswith(beside_python + os.pathsep):
        os.environ["PATH"] = os.pathsep.join([beside_python, os.environ.get("PATH", "")])
    folder = Path(getattr(extensions, f"{name}Loader").get_build_dir())
    folder.mkdir(parents=True, exist_ok=True)
    with file_lock(folder.with_name(f"{folder.name}.building"), lambda: None):
        # Nobody else builds, so a lock file of torch is of an interrupted build. Torch would wait
        # for ever until it is deleted.
        (folder / "lock").unlink(missing_ok=True)
        kernel = _load_compiled(name)
    if kernel is ReferenceQuantizedFunctions.Quantize_forward:
        raise InputError(NO_COMPILER)


def check_compiler(device: torch.device) -> None:
    """Check that compiled kernels can be built, without building them.

    Raises:
        InputError: If a compiler or header is missing.
    """
    if device.type == "cuda":
        if shutil.which("nvcc") is None:
            raise InputError(NO_NVCC)
        return
    header = Path(sysconfig.get_path("include")) / "Python.h"
    if shutil.which(os.environ.get("CXX", "c++")) is None or not header.exists():
        raise InputError(NO_COMPILER)


def _load_compiled(name: str) -> Any:
    try:
        return getattr(extensions, name).get("Quantize_forward")
    except ExtensionLoaderTimeoutException:
        raise InputError(
            f"NNCF's quantizer kernels took more than {KERNEL_BUILD_TIMEOUT_S} s to build; "
            f"set the environment variable NNCF_EXTENSION_LOAD_TIMEOUT to a larger number of "
            "seconds"
        ) from None
    except nncf.InstallationError:
        raise InputError(NO_NVCC) from None
