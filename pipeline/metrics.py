"""A step's losses as JSON lines and for TensorBoard, while it works.

FOLDER/NAME/STEP.jsonl    a line a point: phase, round, of how many, when, and the losses
FOLDER/NAME/STEP/         what `tensorboard --logdir FOLDER` shows
"""

import json
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from pipeline.progress import Reporter

if TYPE_CHECKING:
    from tensorboardX import SummaryWriter

POINTS = 1_000
"""At most so many of each phase."""


class _Recorder:
    """Hands on what it is told, and writes down what phases say."""

    def __init__(self, reporter: Reporter, lines: IO[str], board: "SummaryWriter") -> None:
        self._reporter, self._lines, self._board = reporter, lines, board

    def say(self, line: str) -> None:
        """Hand it on."""
        self._reporter.say(line)

    def phase(self, name: str, done: int, total: int, losses: dict[str, float]) -> None:
        """Hand it on, and write it down if its turn has come."""
        self._reporter.phase(name, done, total, losses)
        if done % -(-total // POINTS) and done != total:
            return
        point = {"phase": name, "round": done, "of": total, "time": round(time.time(), 3)}
        self._lines.write(json.dumps({**point, **losses}) + "\n")
        self._lines.flush()
        for loss, value in losses.items():
            self._board.add_scalar(f"{name}/{loss}", value, done)


@contextmanager
def recorded(reporter: Reporter, folder: Path | None, run: str, step: str) -> Iterator[Reporter]:
    """A reporter that writes down a step's losses as well, if there is a folder for them.

    Args:
        reporter: Who is told.
        folder: Of all metrics; None writes nothing.
        run: The run file's name.
        step: The step's label. One that goes on after an interruption adds to its file.
    """
    if folder is None:
        yield reporter
        return
    # A device installs none.
    from tensorboardX import SummaryWriter

    place = folder / run / step.replace(" ", "-")
    place.mkdir(parents=True, exist_ok=True)
    with (
        place.with_name(f"{place.name}.jsonl").open("a") as lines,
        # Named by the second else: two tries within one would write one file.
        SummaryWriter(str(place), filename_suffix=f".{uuid.uuid4().hex[:8]}") as board,
    ):
        yield _Recorder(reporter, lines, board)
