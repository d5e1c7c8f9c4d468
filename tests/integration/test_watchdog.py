"""The engine dies or freezes: real signals to real processes."""

import signal
from pathlib import Path

import psutil
import pytest

from tests.support.errors import assert_error, assert_error_body
from tests.support.reader import Reader
from tests.support.server import Server
from tests.support.sse import DONE

STALL_AFTER_S = 4.0
KILL_AFTER_S = 4.0
SHORT = {"messages": [{"role": "user", "content": "Hello."}], "max_tokens": 3}
ENVIRONMENT = {
    "UNIGATE_STALL_AFTER_S": str(STALL_AFTER_S),
    "UNIGATE_KILL_AFTER_S": str(KILL_AFTER_S),
}


class Readers:
    """Clients in the middle of an answer: one whole, and one streamed in each dialect."""

    def __init__(self, server: Server, directory: Path) -> None:
        self._streamed = Reader(server, directory / "stream", max_tokens=15_000)
        # A large n keeps it from finishing before the fault comes.
        self._whole = Reader(server, directory / "whole", max_tokens=15_000, stream=False, n=4)
        response = Reader(server, directory / "response", "/v1/responses")
        self._streamed.wait_until_begun()
        response.wait_until_begun()
        # Last, since it is the shortest.
        message = Reader(server, directory / "message", "/v1/messages")
        message.wait_until_begun()
        self._others = (response, message)

    def assert_told(self) -> None:
        """Each was told that the engine is dead, and nothing else."""
        assert_error(self._whole.response(), 503, "engine_dead")
        *events, last = self._streamed.events()
        assert events
        assert DONE not in events
        assert all("error" not in event for event in events)
        assert_error_body(last, "engine_dead")
        for reader in self._others:
            *events, last = reader.events()
            assert len(events) > 2
            assert last["type"] == "error"
            assert "engine_dead" in {last.get("code"), last.get("error", {}).get("code")}


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


@pytest.mark.parametrize("name", ["engine core", "worker"])
def test_a_killed_process_ends_the_server_at_once(
    demo: Path, tmp_path: Path, slow: float, name: str
) -> None:
    with start(demo, tmp_path, slow) as server:
        server.wait_until_ready()
        process = victim(server, name)
        readers = Readers(server, tmp_path)
        process.kill()
        assert server.wait_for_exit(within_s=8) == 6
        readers.assert_told()
        server.assert_nothing_is_left()
        assert_reported(tmp_path, server, "ENGINE_DIED", name, str(process.pid))


@pytest.mark.parametrize("name", ["engine core", "worker"])
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
        readers = Readers(server, tmp_path)
        process.suspend()
        server.wait_for_state("STALLED", within_s=STALL_AFTER_S + 1)
        assert server.wait_for_exit(within_s=KILL_AFTER_S + 6) == 7
        readers.assert_told()
        server.assert_nothing_is_left()
        assert_reported(tmp_path, server, "ENGINE_STALLED", "no sign of life")


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


def test_a_killed_server_leaves_no_engine_behind(demo: Path, tmp_path: Path, slow: float) -> None:
    with start(demo, tmp_path, slow) as server:
        server.wait_until_ready()
        server.process.send_signal(signal.SIGKILL)
        server.wait_for_exit(within_s=5)
        server.assert_nothing_is_left()
