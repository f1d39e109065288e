"""Check whether a device has an accelerator that its TensorRT can use."""

from targets.catalogue.target_types import JetsonTarget
from targets.tensorrt.options import UnsupportedError

LAST_IMPLICIT_VERSION = (10, 7)
"""The last TensorRT whose DLA accepts a calibration cache.

11.4.1 supports the DLA again, on AGX Orin since JetPack 7.2.2, with strongly typed engines only. No
graphs for that are written here.
"""


def check_dla(
    target: JetsonTarget | None, jetpack_name: str, core: int, version: tuple[int, ...]
) -> None:
    """Check that an accelerator exists and that this TensorRT can use it.

    Args:
        target: The module; None if this machine is not a Jetson.
        jetpack_name: The JetPack installed on it.
        core: The accelerator's number, from 0.
        version: Version of the TensorRT that builds; it need not be the JetPack's.

    Raises:
        UnsupportedError: If not; the message names the reason and what to do.
    """
    cores = 0 if target is None else target.dla_cores
    if target is None or not 0 <= core < cores:
        name = "this machine" if target is None else target.name
        found = f"has {cores} accelerators, numbered from 0" if cores else "has no accelerator"
        raise UnsupportedError(f"{name} {found}; remove or change --dla-core")
    jetpack = next(each for each in target.jetpacks if each.name == jetpack_name)
    if jetpack.dla.startswith("none"):
        raise UnsupportedError(
            f"JetPack {jetpack.name} cannot use the DLA ({jetpack.dla}); build for the GPU"
        )
    if version[:2] > LAST_IMPLICIT_VERSION:
        number = ".".join(map(str, version))
        why = "10.7 was the last TensorRT 10 with DLA"
        if version[0] > LAST_IMPLICIT_VERSION[0]:
            why = "version 11 needs strongly typed graphs, which are not implemented for the DLA"
        raise UnsupportedError(f"TensorRT {number} cannot use the DLA ({why}); build for the GPU")
