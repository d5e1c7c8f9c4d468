"""How long a server lets its health be waited for while it works.

Its event loop answers, so the longest wait is the longest pause of the loop that a probe has met.
"""

import http.client
import threading
import time
from contextlib import closing
from types import TracebackType
from urllib.parse import urlsplit

# Enough for a 99th percentile of some seconds.
PROBES_PER_S = 100
LONGEST_ANSWER_S = 60.0


def status(url: str, path: str, *, timeout_s: float = 5.0) -> int:
    """The status of a GET, 0 when nobody answers in time."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=timeout_s)
    with closing(connection):
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return 0


class HealthWatch:
    """Asks for health all the while, from a thread, on one connection."""

    def __init__(self, url: str, path: str) -> None:
        self.waits_s: list[float] = []
        self.failure = ""
        """Why it stopped asking; empty when it did not."""
        self._path = path
        parts = urlsplit(url)
        self._connection = http.client.HTTPConnection(
            str(parts.hostname), parts.port, timeout=LONGEST_ANSWER_S
        )
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> "HealthWatch":
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
        self._connection.close()

    def _watch(self) -> None:
        while not self.failure and not self._over.wait(1 / PROBES_PER_S):
            try:
                self._ask()
            except (OSError, http.client.HTTPException) as error:
                self.failure = f"health was not answered: {error!r}"

    def _ask(self) -> None:
        asked_s = time.perf_counter()
        self._connection.request("GET", self._path)
        answer = self._connection.getresponse()
        answer.read()
        self.waits_s.append(time.perf_counter() - asked_s)
        if answer.status != http.HTTPStatus.OK:
            self.failure = f"health was answered with {answer.status}"
