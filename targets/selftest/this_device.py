"""The Jetson that a selftest runs on, and whether its accelerator can be tested."""

from base.notify import Notify
from targets.catalogue.catalogue import find_target
from targets.catalogue.device_detection import this_jetson
from targets.catalogue.target_types import JetsonTarget
from targets.tensorrt.dla.availability import check_dla
from targets.tensorrt.options import UnsupportedError

DLA_BATCH = 50
"""Batch size on an accelerator, where it is fixed. If it is large, few starts of trtexec run all
probes."""


def this_target() -> JetsonTarget:
    """Return this Jetson's catalogue entry.

    Raises:
        NotAJetsonError: If this machine is not a Jetson.
    """
    target = find_target(this_jetson().target)
    assert isinstance(target, JetsonTarget)
    return target


def has_usable_dla(target: JetsonTarget, version: tuple[int, ...], notify: Notify) -> bool:
    """Return whether there is an accelerator that a TensorRT version can use.

    Args:
        target: This Jetson.
        version: TensorRT's version.
        notify: Receives the reason why an existing accelerator is skipped.
    """
    if not target.dla_cores:
        return False
    try:
        check_dla(target, this_jetson().jetpack, 0, version)
    except UnsupportedError as error:
        notify(f"skipping the DLA: {error}")
        return False
    return True
