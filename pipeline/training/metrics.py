"""A step's losses as JSON lines and for TensorBoard, written while the step runs.

FOLDER/NAME/STEP.jsonl    one line per point: phase, round, number of rounds, time and losses
FOLDER/NAME/STEP/         files for `tensorboard --logdir FOLDER`
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

MAX_POINTS = 1_000
"""The most points that are written of a phase."""


class _Recorder:
    """Passes everything on to another reporter, and writes the losses to files.

    The files are created by the first phase.
    """

    def __init__(self, reporter: Reporter, path: Path) -> None:
        self._reporter, self._path = reporter, path
        self._files: tuple[IO[str], SummaryWriter] | None = None

    def say(self, line: str) -> None:
        """Pass the message on."""
        self._reporter.say(line)

    def phase(self, name: str, done: float, total: int, losses: dict[str, float]) -> None:
        """Pass the progress on, and write the losses of every nth round and of the last one."""
        self._reporter.phase(name, done, total, losses)
        if not losses or done != int(done) or (done % -(-total // MAX_POINTS) and done != total):
            return
        lines, board = self._files = self._files or self._open()
        point = {"phase": name, "round": done, "of": total, "time": round(time.time(), 3)}
        lines.write(json.dumps({**point, **losses}) + "\n")
        lines.flush()
        for loss, value in losses.items():
            board.add_scalar(f"{name}/{loss}", value, done)

    def close(self) -> None:
        """Close the files."""
        for file in self._files or ():
            file.close()

    def _open(self) -> "tuple[IO[str], SummaryWriter]":
        # Not installed on devices.
        from tensorboardX import SummaryWriter

        self._path.mkdir(parents=True, exist_ok=True)
        # By default the name is the second: two tries within one second would share a file.
        board = SummaryWriter(str(self._path), filename_suffix=f".{uuid.uuid4().hex[:8]}")
        return self._path.with_name(f"{self._path.name}.jsonl").open("a"), board


@contextmanager
def recorded(reporter: Reporter, folder: Path | None, run: str, step: str) -> Iterator[Reporter]:
    """Provide a reporter that also writes a step's losses to files.

    Args:
        reporter: Receives everything too.
        folder: The folder of all metrics; None writes none.
        run: The run file's name.
        step: The step's label. A step that resumes appends to its file.
    """
    if folder is None:
        yield reporter
        return
    with closing(_Recorder(reporter, folder / run / step.replace(" ", "-"))) as recorder:
        yield recorder
