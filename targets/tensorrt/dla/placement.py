"""Which layers of an engine run on the accelerator and which on the GPU."""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class DlaPlacement:
    """Where an engine's layers run.

    Attributes:
        on_dla: Subgraphs that run on the accelerator.
        on_gpu: Layers that fell back to the GPU.
    """

    on_dla: tuple[str, ...]
    on_gpu: tuple[str, ...]

    def __str__(self) -> str:
        """Return the counts and the layers on the GPU as one line."""
        line = f"{len(self.on_dla)} subgraphs on the DLA, {len(self.on_gpu)} layers on the GPU"
        return f"{line} ({', '.join(self.on_gpu)})" if self.on_gpu else line


def parse_placement(log: str) -> DlaPlacement | None:
    """Read the placement from a build log; None if the log contains none."""
    found = {kind: tuple(re.findall(rf"\[{kind}\] (.+)", log)) for kind in ("DlaLayer", "GpuLayer")}
    if not any(found.values()):
        return None
    return DlaPlacement(found["DlaLayer"], found["GpuLayer"])
