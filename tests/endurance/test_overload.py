"""Ten times as many clients as there is room for, for a while: those who get in do not feel it."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.endurance.holdings import Holdings
from tests.support.load import is_idle
from tests.support.server import Server
from tests.support.wait import wait_until

SEQUENCES = 8
WAITING = 8
# In work and at hand, and in line.
ADMITTED = 2 * SEQUENCES + WAITING


@pytest.fixture(scope="module")
def server(demo: Path, slow: float, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    log = tmp_path_factory.mktemp("overloaded") / "log"
    arguments = ("--max-num-seqs", str(SEQUENCES))
    environment = {"UNIGATE_MAX_WAITING": str(WAITING)}
    with Server(str(demo), *arguments, log=log, slow=slow, environment=environment) as running:
        running.wait_until_ready()
        yield running


def crowd(server: Server, clients: int, seconds: float) -> dict[str, Any]:
    command = [sys.executable, "-m", "load.overload", server.url, str(clients), str(seconds)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603  # ours
    figures: dict[str, Any] = json.loads(done.stdout)
    sys.stderr.write(f"{clients} clients: {figures}\n")
    return figures


def test_those_who_get_in_do_not_feel_the_others(server: Server, seconds: float) -> None:
    crowd(server, ADMITTED, 5)  # everything has been used once
    before = Holdings.of(server)
    alone = crowd(server, ADMITTED, seconds / 2)
    assert not alone["refused"]
    among_others = crowd(server, 10 * ADMITTED, seconds)
    again = crowd(server, ADMITTED, seconds / 2)
    assert among_others["refused"]
    assert not among_others["malformed"]
    uncontended_ms = max(alone["p99_ms"], again["p99_ms"])
    assert among_others["p99_ms"] <= 1.5 * uncontended_ms
    # As much work is done as without them.
    per_s = {
        name: it["answered"] / length
        for name, it, length in (
            ("alone", alone, seconds / 2),
            ("among others", among_others, seconds),
        )
    }
    assert per_s["among others"] >= 0.6 * per_s["alone"], per_s
    wait_until(lambda: is_idle(server), within_s=10, what="all are gone")
    Holdings.of(server).assert_no_more_than(before)
    assert psutil.pid_exists(server.process.pid)
