"""What a step says of its losses stands in files, and is handed on all the same."""

import json
import struct

from tensorboardX.proto.event_pb2 import Event

from pipeline.training.metrics import POINTS, recorded


class Listener:
    def __init__(self):
        self.heard = []

    def say(self, line):
        self.heard.append(line)

    def phase(self, name, done, total, losses):
        self.heard.append((name, done, total, losses))


def scalars(folder):
    """Tag, step and value of every scalar in a folder of TensorBoard's."""
    found = []
    for path in sorted(folder.glob("events.*")):
        data = path.read_bytes()
        while data:
            (size,) = struct.unpack("<Q", data[:8])
            event = Event.FromString(data[12 : 12 + size])
            found += [(v.tag, event.step, v.simple_value) for v in event.summary.value]
            data = data[12 + size + 4 :]
    return found


def test_losses_are_written_and_handed_on(tmp_path):
    listener = Listener()
    for rounds in ((1, 2), (3,)):  # The second is a next try.
        with recorded(listener, tmp_path, "net", "compile local-cpu") as reporter:
            reporter.say("begins")
            for done in rounds:
                reporter.phase("warm-up", done, 3, {"student": 1 / done})
    assert listener.heard[1] == ("warm-up", 1, 3, {"student": 1.0})
    assert listener.heard.count("begins") == 2
    lines = (tmp_path / "net" / "compile-local-cpu.jsonl").read_text().splitlines()
    points = [json.loads(line) for line in lines]
    assert [(p["phase"], p["round"], p["of"]) for p in points] == [
        ("warm-up", done, 3) for done in (1, 2, 3)
    ]
    assert points[1]["student"] == 0.5
    shown = sorted(scalars(tmp_path / "net" / "compile-local-cpu"))
    assert [(tag, step) for tag, step, _ in shown] == [("warm-up/student", n) for n in (1, 2, 3)]


def test_long_phases_are_thinned_out_and_their_end_is_there(tmp_path):
    total = 2 * POINTS + 1
    with recorded(Listener(), tmp_path, "net", "distill") as reporter:
        for done in range(1, total + 1):
            reporter.phase("distill", done, total, {})
    lines = (tmp_path / "net" / "distill.jsonl").read_text().splitlines()
    assert len(lines) <= POINTS + 1
    assert json.loads(lines[-1])["round"] == total


def test_without_a_folder_nothing_is_written(tmp_path):
    listener = Listener()
    with recorded(listener, None, "net", "distill") as reporter:
        assert reporter is listener


def test_a_step_that_is_found_done_leaves_no_file(tmp_path):
    listener = Listener()
    with recorded(listener, tmp_path, "net", "probe") as reporter:
        reporter.say("reused")
    assert listener.heard == ["reused"]
    assert list(tmp_path.iterdir()) == []
