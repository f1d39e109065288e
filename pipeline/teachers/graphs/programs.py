"""Load exported programs (.pt2) and TorchScript, and turn them into ONNX graphs.

Loading either can run code from the file. `torch.export.load` unpickles constants without
restrictions and evaluates the sizes in the file as expressions; TorchScript is code. So both need
`teacher.trusted: true`.
"""

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from base.errors import InputError, first_line
from dfkd.images import ImageSpec
from pipeline.config.own_code import require_own_code_allowed
from pipeline.teachers.graphs.errors import GraphError

OPSET = 17
"""Operator set of the graphs of TorchScript."""

OUTPUT_NAME = "output"
"""Name of the first output of a graph that is made here; the others get a number."""


def require_trust(kind: str, *, trusted: bool) -> None:
    """Check that the file may run code.

    Args:
        kind: The kind of the file, for the message.
        trusted: The run file's `teacher.trusted`.

    Raises:
        GraphError: If the run file does not allow it, or this machine refuses it.
    """
    try:
        require_own_code_allowed(f"loading {kind}", "export the network to ONNX")
    except InputError as error:
        raise GraphError(str(error)) from None
    if not trusted:
        raise GraphError(
            f"loading {kind} can run code from the file; if you trust its author, set "
            "teacher.trusted: true, else export the network to ONNX"
        )


def program_to_onnx(content: bytes) -> bytes:
    """Return the ONNX graph of an exported program. Trust must have been checked before.

    Raises:
        GraphError: If the program cannot be loaded or exported.
    """
    try:
        with _quiet():
            program = torch.export.load(io.BytesIO(content))
    except Exception as error:  # torch raises many types.
        raise GraphError(
            f"cannot be loaded as an exported program ({first_line(error)}); save it again with "
            "torch.export.save and this version of torch"
        ) from None
    try:
        with _quiet():
            # Optimizing would fold the batch norms.
            made = torch.onnx.export(program, dynamo=True, optimize=False, verbose=False)
    except Exception as error:  # The exporter raises many types.
        raise _not_exported(error) from None
    assert made is not None
    graph: bytes = made.model_proto.SerializeToString()
    return graph


def torchscript_to_onnx(content: bytes, spec: ImageSpec) -> bytes:
    """Return the ONNX graph of a TorchScript network. Trust must have been checked before.

    Raises:
        GraphError: If the network cannot be loaded or exported.
    """
    try:
        with _quiet():
            network = torch.jit.load(io.BytesIO(content), map_location="cpu").eval()
    except Exception as error:  # torch raises many types.
        raise GraphError(
            f"cannot be loaded as TorchScript ({first_line(error)}); save it again with "
            "torch.jit.save"
        ) from None
    images = spec.normalise(torch.full((2, *spec.shape), spec.value_range[0]))
    count, names = _accepted(network, images)
    free = {name: {0: "batch"} for name in ("images", *names)} if count > 1 else None
    file = io.BytesIO()
    try:
        with _quiet():
            torch.onnx.export(
                network,
                (images[:count],),
                file,  # type: ignore[arg-type]
                dynamo=False,
                opset_version=OPSET,
                # Evaluation mode would fold the batch norms.
                training=torch.onnx.TrainingMode.PRESERVE,
                do_constant_folding=False,
                input_names=["images"],
                output_names=names,
                dynamic_axes=free,
            )
    except Exception as error:  # The exporter raises many types.
        raise _not_exported(error) from None
    return file.getvalue()


def _not_exported(error: Exception) -> GraphError:
    return GraphError(
        f"cannot be exported to ONNX ({first_line(error)}); export the network to ONNX yourself, "
        "or use its state dict with teacher.architecture"
    )


def _accepted(network: nn.Module, images: Tensor) -> tuple[int, list[str]]:
    """Return the number of images that the network takes, and names for its outputs.

    Raises:
        GraphError: If it takes neither two images nor one.
    """
    for count in (2, 1):
        try:
            with torch.no_grad(), _quiet():
                found = network(images[:count])
        except Exception as error:  # torch raises many types.
            fault = first_line(error)
            continue
        outputs = [found] if isinstance(found, Tensor) else [*_tensors(found)]
        numbered = [OUTPUT_NAME, *(f"{OUTPUT_NAME}_{i}" for i in range(1, len(outputs)))]
        return count, numbered
    raise GraphError(
        f"cannot take images of shape {[*images.shape[1:]]} ({fault}); correct input.shape"
    )


def _tensors(found: Any) -> Iterator[Tensor]:
    """Yield the tensors in nested outputs."""
    if isinstance(found, Tensor):
        yield found
    elif isinstance(found, dict):
        yield from (tensor for value in found.values() for tensor in _tensors(value))
    elif isinstance(found, list | tuple):
        yield from (tensor for value in found for tensor in _tensors(value))


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence warnings of torch's loaders and exporter."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
