"""The data type in which a network is computed in training."""

import torch
from torch import Tensor, nn

from base.errors import InputError
from dfkd.models.precision import gains_from_bfloat16
from pipeline.config.chosen_precision import chosen_precision
from pipeline.config.schema import RunConfig
from targets.catalogue.instruction_sets import this_cpu


def network_precision(config: RunConfig, network: nn.Module, images: Tensor) -> torch.dtype:
    """Return the data type for a float network.

    On a GPU, `precision: auto` is bfloat16 if the GPU has instructions for it. On a CPU, bfloat16
    is used for the networks that gain from it.

    Args:
        config: The run file.
        network: The network.
        images: (N, C, H, W) images that it takes, on its device.

    Raises:
        InputError: If the run file asks for bfloat16 and the device would emulate it.
    """
    if config.precision == "float32":
        return torch.float32
    if images.device.type == "cuda":
        has_instructions = torch.cuda.is_bf16_supported(including_emulation=False)
        wanted = has_instructions or config.precision == "bfloat16"
    else:
        has_instructions = this_cpu().bfloat16
        wanted = chosen_precision(config) == "bfloat16"
    if wanted and not has_instructions:
        raise InputError(
            "precision: bfloat16 needs an x86 CPU with AVX512-BF16 or AMX, or a GPU that has it; "
            "use auto"
        )
    on_cpu = images.device.type == "cpu"
    if not wanted or (on_cpu and not gains_from_bfloat16(network, images)):
        return torch.float32
    return torch.bfloat16
