"""A step's losses are written to files and passed on."""

import json
import struct

from tensorboardX.proto.event_pb2 import Event

from pipeline.training.metrics import MAX_POINTS, recorded


class Recorder:
    """A reporter that keeps what it receives."""

    def __init__(self):
        self.received = []

    def say(self, line):
        self.received.append(line)

    def phase(self, name, done, total, losses):
        self.received.append((name, done, total, losses))


def scalars(folder):
    """Return tag, step and value of every scalar in a TensorBoard folder."""
    found = []
    for path in sorted(folder.glob("events.*")):
        data = path.read_bytes()
        while data:
            (size,) = struct.unpack("<Q", data[:8])
            event = Event.FromString(data[12 : 12 + size])
            found += [(v.tag, event.step, v.simple_value) for v in event.summary.value]
            data = data[12 + size + 4 :]
    return found


def test_losses_are_written_and_passed_on(tmp_path):
    recorder = Recorder()
    for rounds in ((1, 2), (3,)):  # The second one resumes after an interruption.
        with recorded(recorder, tmp_path, "net", "compile local-cpu") as reporter:
            reporter.say("starting")
            for done in rounds:
                reporter.phase("warm-up", done, 3, {"student": 1 / done})
    assert recorder.received[1] == ("warm-up", 1, 3, {"student": 1.0})
    assert recorder.received.count("starting") == 2
    lines = (tmp_path / "net" / "compile-local-cpu.jsonl").read_text().splitlines()
    points = [json.loads(line) for line in lines]
    assert [(p["phase"], p["round"], p["of"]) for p in points] == [
        ("warm-up", done, 3) for done in (1, 2, 3)
    ]
    assert points[1]["student"] == 0.5
    shown = sorted(scalars(tmp_path / "net" / "compile-local-cpu"))
    assert [(tag, step) for tag, step, _ in shown] == [("warm-up/student", n) for n in (1, 2, 3)]


def test_long_phase_is_thinned_out_and_keeps_its_last_point(tmp_path):
    total = 2 * MAX_POINTS + 1
    with recorded(Recorder(), tmp_path, "net", "distill") as reporter:
        for done in range(1, total + 1):
            reporter.phase("distill", done, total, {"student": 1.0})
    lines = (tmp_path / "net" / "distill.jsonl").read_text().splitlines()
    assert len(lines) <= MAX_POINTS + 1
    assert json.loads(lines[-1])["round"] == total


def test_only_whole_rounds_with_losses_are_written(tmp_path):
    recorder = Recorder()
    with recorded(recorder, tmp_path, "net", "distill") as reporter:
        reporter.phase("distill", 0, 2, {})
        reporter.phase("distill", 1, 2, {"student": 1.0})
        reporter.phase("distill", 1.5, 2, {"student": 1.0})
    assert len(recorder.received) == 3
    (line,) = (tmp_path / "net" / "distill.jsonl").read_text().splitlines()
    assert json.loads(line)["round"] == 1


def test_without_a_folder_the_reporter_is_unchanged(tmp_path):
    recorder = Recorder()
    with recorded(recorder, None, "net", "distill") as reporter:
        assert reporter is recorder


def test_reused_step_writes_no_file(tmp_path):
    recorder = Recorder()
    with recorded(recorder, tmp_path, "net", "probe") as reporter:
        reporter.say("probe: reused")
    assert recorder.received == ["probe: reused"]
    assert list(tmp_path.iterdir()) == []
