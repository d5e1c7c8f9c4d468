"""The engine dies or freezes: real signals to real processes."""

import signal
import threading
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.support.errors import assert_error, assert_error_body
from tests.support.server import Server
from tests.support.sse import DONE, events, stream
from tests.support.wait import wait_until

STALL_AFTER_S = 4.0
KILL_AFTER_S = 4.0
ENDLESS: dict[str, Any] = {
    "messages": [{"role": "user", "content": "Tell me a long story."}],
    "max_tokens": 15_000,
    "ignore_eos": True,
}
ENVIRONMENT = {
    "UNIGATE_STALL_AFTER_S": str(STALL_AFTER_S),
    "UNIGATE_KILL_AFTER_S": str(KILL_AFTER_S),
}


class Reader(threading.Thread):
    """A client in the middle of an answer; keeps what it was told."""

    def __init__(self, server: Server, streamed: bool) -> None:
        super().__init__(daemon=True)
        self.server, self.streamed = server, streamed
        self.events: list[Any] = []
        self.response: httpx.Response | None = None
        self.start()

    def run(self) -> None:
        url = self.server.url + "/v1/chat/completions"
        if self.streamed:
            with stream(url, ENDLESS) as self.response:
                self.events.extend(events(self.response))
        else:
            # A large n keeps it from finishing before the fault comes.
            self.response = httpx.post(url, json={**ENDLESS, "n": 4}, timeout=60)

    def told(self) -> dict[str, str]:
        """The error the client was told, after all that must hold."""
        self.join(timeout=20)
        assert not self.is_alive(), "the client still waits"
        assert self.response is not None
        if not self.streamed:
            return assert_error(self.response, 503, "engine_dead")
        assert len(self.events) > 1
        assert DONE not in self.events
        assert all("error" not in event for event in self.events[:-1])
        return assert_error_body(self.events[-1], "engine_dead")


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
        readers = [Reader(server, streamed=True), Reader(server, streamed=False)]
        wait_until(lambda: len(readers[0].events) > 0, within_s=20, what="the stream has begun")
        process.kill()
        assert server.wait_for_exit(within_s=8) == 6
        for reader in readers:
            reader.told()
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
        refused = server.post("/v1/chat/completions", ENDLESS)
        assert_error(refused, 503, "engine_stalled")
        assert '"ready"' not in server.get("/v1/health/ready").text
        assert server.get("/v1/health/live").status_code == 200
        process.resume()
        server.wait_for_state("READY", within_s=3)
        short = {**ENDLESS, "max_tokens": 3}
        assert server.post("/v1/chat/completions", short).status_code == 200

        # Busy, and never thawed.
        readers = [Reader(server, streamed=True), Reader(server, streamed=False)]
        wait_until(lambda: len(readers[0].events) > 0, within_s=20, what="the stream has begun")
        process.suspend()
        server.wait_for_state("STALLED", within_s=STALL_AFTER_S + 1)
        assert server.wait_for_exit(within_s=KILL_AFTER_S + 6) == 7
        for reader in readers:
            reader.told()
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
