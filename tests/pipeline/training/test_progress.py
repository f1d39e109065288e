import io

from rich.console import Console
from rich.progress import Progress, TextColumn

from pipeline.reporter import counting
from pipeline.training import progress
from pipeline.training.progress import LineReporter, TerminalReporter, format_losses, reporter


def test_lines_are_written_at_start_at_intervals_and_at_end(monkeypatch):
    clock = iter([0.0, 1.0, 6.0, 7.0, 8.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock) + 100)
    lines = []
    report = LineReporter(lines.append, interval_s=5.0)
    for done in (10, 20, 70, 80, 100):
        report.phase("distill", done, 100, {"student": 0.5})
    assert [line.split(",")[0] for line in lines] == [
        "distill 10/100  student 0.5",
        "distill 70/100",
        "distill 100/100",
    ]
    # From 10 to 70 in 6 s is 10 a second, which leaves 3 s for the last 30.
    assert "10.0/s, 3 s left" in lines[1]


def test_progress_within_slow_rounds_gives_the_time_left(monkeypatch):
    clock = iter([0.0, 30.0, 60.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    lines = []
    report = LineReporter(lines.append)
    for done in (0, 0.25, 0.5):
        report.phase("distill", done, 10, {})
    assert lines == [
        "distill 0/10",
        "distill 0/10, 2 min each, 20 min left",
        "distill 0/10, 2 min each, 19 min left",
    ]


def test_counted_phase_ends_at_its_total():
    lines = []
    with counting(LineReporter(lines.append, interval_s=0.0), "parity", 10) as advance:
        advance(4)
        advance(5)
    assert [line.split(",")[0] for line in lines] == [
        *("parity 0/10", "parity 4/10", "parity 9/10", "parity 10/10")
    ]


def test_each_phase_has_its_own_rate():
    lines = []
    report = LineReporter(lines.append)
    report.phase("one", 5, 5, {})
    report.phase("two", 1, 9, {"a": 1.23456})
    assert lines == ["one 5/5", "two 1/9  a 1.23"]


def test_terminal_shows_one_bar_per_phase():
    console = Console(file=io.StringIO(), force_terminal=True, width=120)
    columns = (TextColumn("{task.description}"), TextColumn("{task.fields[losses]}"))
    with Progress(*columns, console=console) as bars:
        report = TerminalReporter(bars)
        for phase in ("distill", "distill", "quantize"):
            report.phase(phase, 1, 2, {"student": 2.0})
        report.say("a message")
        assert [task.description for task in bars.tasks] == ["distill", "quantize"]
        report.phase("quantize", 2.5, 8, {})
        assert (bars.tasks[1].completed, bars.tasks[1].total) == (2.5, 8)
        assert bars.tasks[0].fields["losses"] == format_losses({"student": 2.0})
    assert "a message" in console.file.getvalue()


def test_reporter_without_a_terminal_writes_lines():
    with reporter() as report:
        assert isinstance(report, LineReporter)
