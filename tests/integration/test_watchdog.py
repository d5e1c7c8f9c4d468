"""The engine dies or freezes: real signals to real processes."""

import signal
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.support.errors import assert_error, assert_failed_stream
from tests.support.load import in_flight
from tests.support.reader import Reader
from tests.support.server import Server
from tests.support.wait import wait_until

STALL_AFTER_S = 4.0
KILL_AFTER_S = 4.0
SHORT = {"messages": [{"role": "user", "content": "Hello."}], "max_tokens": 3}
ENVIRONMENT = {
    "UNIGATE_STALL_AFTER_S": str(STALL_AFTER_S),
    "UNIGATE_KILL_AFTER_S": str(KILL_AFTER_S),
}


class Readers:
    """Clients in the middle of an answer: two in each dialect, one streamed and one whole."""

    def __init__(self, server: Server, directory: Path, frozen: psutil.Process) -> None:
        """The engine's process `frozen` is stopped before any of them is done."""

        def ask(route: str, *, stream: bool, **fields: Any) -> Reader:
            path = directory / f"{route.replace('/', '-')}-{stream}"
            return Reader(server, path, f"/v1/{route}", stream=stream, **fields)

        long = {"max_tokens": 15_000}
        self._whole = [
            ask("chat/completions", stream=False, n=4, **long),
            ask("completions", stream=False, **long),
            ask("responses", stream=False),
        ]
        self._streamed = [
            ask("chat/completions", stream=True, **long),
            ask("completions", stream=True, **long),
            ask("responses", stream=True),
        ]
        for reader in self._streamed:
            reader.wait_until_begun()
        # Last, since they are the shortest.
        message = ask("messages", stream=True)
        message.wait_until_begun()
        frozen.suspend()
        self._streamed.append(message)
        self._whole.append(ask("messages", stream=False))
        count = len(self._whole) + len(self._streamed)
        wait_until(lambda: in_flight(server) == count, within_s=10, what="all of them are asked")

    def assert_told(self) -> None:
        """Each was told that the engine is dead, and nothing else."""
        for reader in self._whole:
            assert_error(reader.response(), 503, "engine_dead")
        for reader in self._streamed:
            assert_failed_stream(reader.events(), "engine_dead")


def start(demo: Path, tmp_path: Path, slow: float) -> Server:
    termination_log = tmp_path / "termination-log"
    termination_log.touch()
    return Server(
        str(demo),
        log=tmp_path / "log",
        slow=slow,
        environment={**ENVIRONMENT, "UNIGATE_TERMINATION_LOG": str(termination_log)},
    )


def victim(server: Server, name: str) -> psutil.Process:
    return {"engine core": server.engine_core, "worker": server.worker}[name]()


def assert_reported(tmp_path: Path, server: Server, cause: str, *words: str) -> None:
    report = (tmp_path / "termination-log").read_text()
    assert report.startswith(cause)
    for word in words:
        assert word in report
        assert word in server.log


@pytest.mark.parametrize(
    "name", ["worker", pytest.param("engine core", marks=pytest.mark.thorough)]
)
def test_a_killed_process_ends_the_server_at_once(
    demo: Path, tmp_path: Path, slow: float, name: str
) -> None:
    with start(demo, tmp_path, slow) as server:
        server.wait_until_ready()
        process = victim(server, name)
        readers = Readers(server, tmp_path, process)
        process.kill()
        assert server.wait_for_exit(within_s=8) == 6
        readers.assert_told()
        server.assert_nothing_is_left()
        words = (name, str(process.pid), "killed by SIGKILL")
        assert_reported(tmp_path, server, "ENGINE_DIED", *words)


@pytest.mark.parametrize(
    "name", ["worker", pytest.param("engine core", marks=pytest.mark.thorough)]
)
def test_a_frozen_process_is_a_stall_that_may_pass_or_end_the_server(
    demo: Path, tmp_path: Path, slow: float, name: str
) -> None:
    with start(demo, tmp_path, slow) as server:
        server.wait_until_ready()
        process = victim(server, name)

        # Idle, and thawed in time.
        process.suspend()
        server.wait_for_state("STALLED", within_s=STALL_AFTER_S + 1)
        refused = server.post("/v1/chat/completions", SHORT)
        assert_error(refused, 503, "engine_stalled")
        assert '"ready"' not in server.get("/v1/health/ready").text
        assert server.get("/v1/health/live").status_code == 200
        process.resume()
        server.wait_for_state("READY", within_s=3)
        assert server.post("/v1/chat/completions", SHORT).status_code == 200

        # Busy, and never thawed.
        readers = Readers(server, tmp_path, process)
        server.wait_for_state("STALLED", within_s=STALL_AFTER_S + 1)
        assert server.wait_for_exit(within_s=KILL_AFTER_S + 6) == 7
        readers.assert_told()
        server.assert_nothing_is_left()
        assert_reported(tmp_path, server, "ENGINE_STALLED", "no sign of life")


@pytest.mark.thorough
def test_a_stalled_server_ends_promptly_when_it_is_asked_to(
    demo: Path, tmp_path: Path, slow: float
) -> None:
    with start(demo, tmp_path, slow) as server:
        server.wait_until_ready()
        server.engine_core().suspend()
        server.wait_for_state("STALLED", within_s=STALL_AFTER_S + 1)
        server.signal(signal.SIGTERM)
        assert server.wait_for_exit(within_s=5) == 0
        server.assert_nothing_is_left()


@pytest.mark.ends_shared_server
def test_a_killed_server_leaves_no_engine_behind(hasty_server: Server) -> None:
    hasty_server.process.send_signal(signal.SIGKILL)
    hasty_server.wait_for_exit(within_s=5)
    hasty_server.assert_nothing_is_left()
