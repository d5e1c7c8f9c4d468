"""How long a server lets its health be waited for while it works.

Its event loop answers, so the longest wait is the longest pause of the loop that a probe has met.

python -m load.health URL PATH   asks until its input ends, and prints what it saw as JSON.
"""

import http.client
import json
import select
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import NamedTuple
from urllib.parse import urlsplit

# Enough for a 99th percentile of some seconds.
PROBES_PER_S = 100
LONGEST_ANSWER_S = 60.0
_ROOT = Path(__file__).parent.parent


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


class Probe(NamedTuple):
    """One that was answered; in seconds, on the clock of `time.perf_counter`."""

    asked_s: float
    waited_s: float


class HealthWatch:
    """Asks for health all the while, on one connection.

    It does so from a process of its own: a thread would wait for whatever else this process does.
    """

    def __init__(self, url: str, path: str) -> None:
        self.probes: list[Probe] = []
        """Known when it is over."""
        self.failure = ""
        """Why it stopped asking; empty when it did not."""
        self._command = [sys.executable, "-m", "load.health", url, path]

    def waits_s(self, begin_s: float, end_s: float) -> list[float]:
        """Of the probes of that time."""
        return [probe.waited_s for probe in self.probes if begin_s <= probe.asked_s <= end_s]

    def __enter__(self) -> "HealthWatch":
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(self._command, cwd=_ROOT, stdin=pipe, stdout=pipe)  # noqa: S603  # ours
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._process:
            said, _ = self._process.communicate()
        if self._process.returncode:  # as by Ctrl-C, which it gets, too
            self.failure = f"what asks for health ended with {self._process.returncode}"
            return
        seen = json.loads(said)
        self.failure = seen["failure"]
        self.probes = [Probe(*probe) for probe in seen["probes"]]


def _watch(url: str, path: str) -> tuple[list[Probe], str]:
    """The answers until standard input ends, and why there are no more, if it has not."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(
        str(parts.hostname), parts.port, timeout=LONGEST_ANSWER_S
    )
    probes: list[Probe] = []
    with closing(connection):
        while not select.select([sys.stdin], [], [], 1 / PROBES_PER_S)[0]:
            asked_s = time.perf_counter()
            try:
                connection.request("GET", path)
                answer = connection.getresponse()
                answer.read()
            except (OSError, http.client.HTTPException) as error:
                return probes, f"health was not answered: {error!r}"
            probes.append(Probe(asked_s, time.perf_counter() - asked_s))
            if answer.status != http.HTTPStatus.OK:
                return probes, f"health was answered with {answer.status}"
    return probes, ""


def main() -> None:
    """Watch what the command line names."""
    url, path = sys.argv[1:]
    probes, failure = _watch(url, path)
    sys.stdout.write(json.dumps({"probes": probes, "failure": failure}))


if __name__ == "__main__":
    main()
