"""Tells a waiting person how a download goes: log lines, or one line that moves on a terminal."""

import logging
import threading
from types import TracebackType
from typing import TextIO

from profiles.progress import Phase, Progress

log = logging.getLogger(__name__)

_BAR_WIDTH = 24
_REDRAW_S = 0.2


class ProgressReport:
    """Reports while its block runs: to the terminal if there is one, else to the log."""

    def __init__(
        self, progress: Progress, *, every_s: float = 10.0, terminal: TextIO | None = None
    ) -> None:
        self._progress = progress
        self._terminal = terminal if terminal is not None and terminal.isatty() else None
        self._every_s = _REDRAW_S if self._terminal else every_s
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="progress", daemon=True)

    def __enter__(self) -> "ProgressReport":
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()
        if self._terminal is not None:
            self._draw()
            self._terminal.write("\n")
            self._terminal.flush()

    def _run(self) -> None:
        said: object = None
        while not self._over.wait(self._every_s):
            if self._terminal is not None:
                self._draw()
                continue
            reading = self._progress.read()
            if reading.phase in {Phase.STARTING, Phase.DONE}:
                continue
            # A stall is said as well, since the same bytes at another rate are news.
            if (now := (reading.phase, reading.bytes_done, int(reading.bytes_per_s))) != said:
                said = now
                log.info(
                    "download.progress",
                    extra={
                        "state": str(reading),
                        "percent": reading.percent,
                        "bytes_done": reading.bytes_done,
                        "bytes_total": reading.bytes_total,
                    },
                )

    def _draw(self) -> None:
        assert self._terminal is not None
        reading = self._progress.read()
        filled = _BAR_WIDTH * reading.percent // 100
        bar = "#" * filled + "-" * (_BAR_WIDTH - filled)
        # \x1b[K clears what a longer line before has left.
        self._terminal.write(f"\r[{bar}] {reading}\x1b[K")
        self._terminal.flush()
