"""How far a download is, as a person and a program read it."""

import io
import logging
import time

import pytest

from profiles.progress import Phase, Progress, duration, size
from profiles.progress_report import ProgressReport


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_rate_and_end_follow_from_what_came_lately(clock: Clock) -> None:
    progress = Progress(clock)
    progress.begin(Phase.DOWNLOADING, files=2, bytes_=1000)
    for _ in range(10):
        clock.now_s += 1
        progress.add(10)
    reading = progress.read()
    assert reading.bytes_per_s == pytest.approx(10)
    assert reading.eta_s == pytest.approx(90)
    assert reading.percent == 10
    assert str(reading) == ("downloading 10 % of 1000 B, 10 B/s, 1 min 30 s left (0 of 2 files)")


def test_what_was_there_already_is_no_speed(clock: Clock) -> None:
    progress = Progress(clock)
    progress.begin(Phase.DOWNLOADING, files=1, bytes_=1000)
    progress.resume(500)
    clock.now_s += 5
    reading = progress.read()
    assert (reading.percent, reading.bytes_per_s, reading.eta_s) == (50, 0, None)


def test_a_stall_shows(clock: Clock) -> None:
    progress = Progress(clock)
    progress.begin(Phase.DOWNLOADING, files=1, bytes_=1000)
    clock.now_s += 1
    progress.add(100)
    clock.now_s += 60
    assert progress.read().bytes_per_s == 0
    assert progress.read().eta_s is None


def test_a_phase_without_bytes_is_a_word() -> None:
    progress = Progress()
    assert str(progress.read()) == "starting"
    progress.begin(Phase.WAITING, note="for process 7 on node1")
    assert str(progress.read()) == "waiting (for process 7 on node1)"


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1 KiB"), (5 * 1024**2, "5 MiB"),
     (140 * 1024**3, "140.0 GiB"), (3000 * 1024**3, "3000.0 GiB")],
)  # fmt: skip
def test_sizes_as_people_read_them(count: int, text: str) -> None:
    assert size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "0 s"), (59.4, "59 s"), (61, "1 min 1 s"), (7322, "2 h 2 min")]
)
def test_times_as_people_read_them(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_the_log_has_a_line_now_and_then_and_only_news(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="profiles")
    progress = Progress()
    with ProgressReport(progress, every_s=0.02):
        progress.begin(Phase.VERIFYING, files=1, bytes_=100)
        time.sleep(0.15)
        progress.begin(Phase.DOWNLOADING, files=1, bytes_=100)
        progress.resume(50)
        time.sleep(0.15)
    said = [getattr(record, "state", "") for record in caplog.records]
    assert [line.split(" %")[0] for line in said] == ["verifying 0", "downloading 50"]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_has_one_line_that_moves(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="profiles")
    progress, terminal = Progress(), Terminal()
    with ProgressReport(progress, terminal=terminal):
        progress.begin(Phase.DOWNLOADING, files=1, bytes_=100)
        progress.resume(25)
        time.sleep(0.25)
    assert terminal.getvalue().startswith("\r[######------------------] downloading 25 %")
    assert terminal.getvalue().count("\n") == 1
    assert not caplog.records


def test_a_pipe_is_no_terminal(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="profiles")
    progress, pipe = Progress(), io.StringIO()
    with ProgressReport(progress, every_s=0.02, terminal=pipe):
        progress.begin(Phase.DOWNLOADING, files=1, bytes_=100)
        time.sleep(0.05)
    assert not pipe.getvalue()
    assert caplog.records
