"""The server is not alone on its machine."""

import os
import subprocess
import sys
from pathlib import Path

from tests.support.reader import Reader
from tests.support.server import Server

# Prints the longest time this process had to wait for its core.
_NEIGHBOUR = """
import os, sys, time
os.sched_setaffinity(0, {int(sys.argv[1])})
end_s = now_s = time.monotonic()
end_s += 4
longest_s = 0
while now_s < end_s:
    before_s, now_s = now_s, time.monotonic()
    longest_s = max(longest_s, now_s - before_s)
print(longest_s)
"""


def test_a_busy_engine_leaves_every_core_to_others_too(
    server: Server, tmp_path: Path, slow: float
) -> None:
    reader = Reader(server, tmp_path / "stream", max_tokens=800)
    reader.wait_until_begun()
    neighbours = [
        subprocess.Popen(  # noqa: S603  # ours
            [sys.executable, "-c", _NEIGHBOUR, str(core)], stdout=subprocess.PIPE, text=True
        )
        for core in sorted(os.sched_getaffinity(0))
    ]
    waits_s = [float(neighbour.communicate(timeout=200)[0]) for neighbour in neighbours]
    assert max(waits_s) < 1.0 * slow
    reader.events()
