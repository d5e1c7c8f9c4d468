"""Health as it is waited for, at a server that pauses."""

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from load.health import HealthWatch, status
from tests.support.wait import wait_until

PAUSE_S = 0.3


class Handler(BaseHTTPRequestHandler):
    """Answers the third request late, and `/gone` with 503."""

    protocol_version = "HTTP/1.1"
    asked = 0

    def do_GET(self) -> None:
        type(self).asked += 1
        if self.asked == 3:
            time.sleep(PAUSE_S)
        self.send_response(503 if self.path == "/gone" else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def url() -> Iterator[str]:
    Handler.asked = 0
    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_the_longest_wait_is_the_pause(url: str) -> None:
    began_s = time.perf_counter()
    with HealthWatch(url, "/") as watch:
        wait_until(lambda: Handler.asked > 4, within_s=30, what="five questions")
        paused_s = time.perf_counter()
        wait_until(lambda: Handler.asked > 8, within_s=30, what="nine questions")
    assert watch.failure == ""
    assert watch.probes[2].waited_s >= PAUSE_S
    assert len(watch.waits_s(began_s, time.perf_counter())) == len(watch.probes) >= 8
    assert max(watch.waits_s(began_s, paused_s)) >= PAUSE_S
    assert 3 <= len(watch.waits_s(paused_s, time.perf_counter())) <= len(watch.probes) - 3
    assert watch.waits_s(0, began_s) == []


def test_health_that_is_refused_is_a_failure(url: str) -> None:
    with HealthWatch(url, "/gone") as watch:
        wait_until(lambda: Handler.asked == 1, within_s=10, what="a question")
    assert "503" in watch.failure


def test_nobody_there_is_a_failure_and_has_no_status() -> None:
    with HealthWatch("http://127.0.0.1:9", "/") as watch:
        time.sleep(1)  # it needs a while to ask
    assert "not answered" in watch.failure
    assert watch.probes == []
    assert status("http://127.0.0.1:9", "/") == 0


def test_a_probe_that_is_ended_is_a_failure_and_hides_no_error(url: str) -> None:
    watch = HealthWatch(url, "/")

    def interrupted() -> None:
        with watch:
            watch._process.kill()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert "ended with -9" in watch.failure
    assert watch.probes == []


def test_a_status_is_that_of_the_answer(url: str) -> None:
    assert (status(url, "/"), status(url, "/gone")) == (200, 503)
