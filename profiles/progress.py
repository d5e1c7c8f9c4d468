"""How far a download is: written by the threads that work, read by anybody at any time."""

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

# The rate is what came in this long: short enough to show a stall, long enough not to flicker.
_WINDOW_S = 15.0


class Phase(StrEnum):
    """What is being done now."""

    STARTING = "starting"
    WAITING = "waiting"  # another process downloads into the same store
    LISTING = "listing"
    DOWNLOADING = "downloading"
    VERIFYING = "verifying"  # checksums of what is on the disk already
    PUBLISHING = "publishing"
    UPLOADING = "uploading"
    DONE = "done"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgressReading:
    """Progress at one moment."""

    phase: Phase
    note: str
    files_done: int
    files_total: int
    bytes_done: int
    bytes_total: int
    bytes_per_s: float
    eta_s: float | None

    @property
    def percent(self) -> int:
        """Whole percents of the bytes; never 100 before the last byte."""
        return self.bytes_done * 100 // self.bytes_total if self.bytes_total else 0

    def __str__(self) -> str:
        if self.phase in {Phase.DONE, Phase.STARTING, Phase.LISTING} or not self.bytes_total:
            return f"{self.phase}{f' ({self.note})' if self.note else ''}"
        text = f"{self.phase} {self.percent} % of {size(self.bytes_total)}"
        if self.bytes_per_s:
            text += f", {size(self.bytes_per_s)}/s"
        if self.eta_s is not None:
            text += f", {duration(self.eta_s)} left"
        return f"{text} ({self.files_done} of {self.files_total} files)"


class Progress:
    """Thread-safe; made before a download starts and handed into it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._begin(Phase.STARTING, 0, 0, "")

    def begin(self, phase: Phase, *, files: int = 0, bytes_: int = 0, note: str = "") -> None:
        """A new phase; its counters start at nothing."""
        with self._lock:
            self._begin(phase, files, bytes_, note)

    def _begin(self, phase: Phase, files: int, bytes_: int, note: str) -> None:
        self._phase = phase
        self._note = note
        self._files_total = files
        self._bytes_total = bytes_
        self._files_done = 0
        self._bytes_done = 0
        self._recent: deque[tuple[float, int]] = deque([(self._clock(), 0)])

    def resume(self, count: int) -> None:
        """So many bytes were there already: progress, but not speed. Less than none: start over."""
        with self._lock:
            self._bytes_done += count

    def add(self, count: int) -> None:
        """So many bytes came."""
        with self._lock:
            self._bytes_done += count
            now_s = self._clock()
            # One entry for each tenth of a second is enough, and bounds the memory.
            if now_s - self._recent[-1][0] < _WINDOW_S / 150:
                now_s, before = self._recent.pop()
                count += before
            self._recent.append((now_s, count))
            while self._recent[0][0] < now_s - _WINDOW_S:
                self._recent.popleft()

    def file_done(self) -> None:
        """One more file is complete."""
        with self._lock:
            self._files_done += 1

    def read(self) -> ProgressReading:
        """How things stand."""
        with self._lock:
            now_s = self._clock()
            since_s = max(now_s - _WINDOW_S, self._recent[0][0])
            came = sum(count for at_s, count in self._recent if at_s > now_s - _WINDOW_S)
            rate = came / max(now_s - since_s, 0.1)
            left = self._bytes_total - self._bytes_done
            return ProgressReading(
                phase=self._phase,
                note=self._note,
                files_done=self._files_done,
                files_total=self._files_total,
                bytes_done=self._bytes_done,
                bytes_total=self._bytes_total,
                bytes_per_s=rate,
                eta_s=left / rate if rate > 0 and left >= 0 else None,
            )


def size(count: float) -> str:
    """Bytes as people read them."""
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:  # noqa: PLR2004  # the unit's factor
            return f"{count:.0f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"


def duration(seconds: float) -> str:
    """Seconds as people read them."""
    whole = int(seconds + 0.5)
    if whole < 60:  # noqa: PLR2004
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:  # noqa: PLR2004
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"
