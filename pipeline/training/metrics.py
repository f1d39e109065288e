"""A step's losses as JSON lines and for TensorBoard, while it works.

FOLDER/NAME/STEP.jsonl    a line a point: phase, round, of how many, when, and the losses
FOLDER/NAME/STEP/         what `tensorboard --logdir FOLDER` shows
"""

import json
import time
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from pipeline.reporter import Reporter

if TYPE_CHECKING:
    from tensorboardX import SummaryWriter

POINTS = 1_000
"""At most so many of each phase."""


class _Recorder:
    """Hands on what it is told, and writes down what phases say; without any there is no file."""

    def __init__(self, reporter: Reporter, place: Path) -> None:
        self._reporter, self._place = reporter, place
        self._files: tuple[IO[str], SummaryWriter] | None = None

    def say(self, line: str) -> None:
        """Hand it on."""
        self._reporter.say(line)

    def phase(self, name: str, done: int, total: int, losses: dict[str, float]) -> None:
        """Hand it on, and write it down if its turn has come."""
        self._reporter.phase(name, done, total, losses)
        if done % -(-total // POINTS) and done != total:
            return
        lines, board = self._files = self._files or self._open()
        point = {"phase": name, "round": done, "of": total, "time": round(time.time(), 3)}
        lines.write(json.dumps({**point, **losses}) + "\n")
        lines.flush()
        for loss, value in losses.items():
            board.add_scalar(f"{name}/{loss}", value, done)

    def close(self) -> None:
        """Close what was opened."""
        for file in self._files or ():
            file.close()

    def _open(self) -> "tuple[IO[str], SummaryWriter]":
        # A device installs none.
        from tensorboardX import SummaryWriter

        self._place.mkdir(parents=True, exist_ok=True)
        # Named by the second else: two tries within one would write one file.
        board = SummaryWriter(str(self._place), filename_suffix=f".{uuid.uuid4().hex[:8]}")
        return self._place.with_name(f"{self._place.name}.jsonl").open("a"), board


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
    with closing(_Recorder(reporter, folder / run / step.replace(" ", "-"))) as recorder:
        yield recorder
