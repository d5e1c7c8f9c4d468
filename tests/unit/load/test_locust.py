"""The load test against streams that are cut, split, failed or refused."""

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from tests.support.locust_run import LocustRun, run_locust

TOKEN = 'data: {"choices": [{"index": 0, "delta": {"content": "é"}}]}\n\n'.encode()
USAGE = b'data: {"choices": [], "usage": {"completion_tokens": 2}}\n\n'
SCENARIO = """
about = "One user of each kind."
users = { chat = 1, completions = 1, messages = 1, embeddings = 1 }
stages = [{ users = 4, for_s = 3, users_per_s = 100 }]
pause_s = 0.2
limits = { max_failure_ratio = 0.9, max_itl_p50_ms = 100000 }
"""


class Server(BaseHTTPRequestHandler):
    """A good stream in bad pieces, one that fails, one that is cut, and a refusal."""

    protocol_version = "HTTP/1.1"
    keys: ClassVar[set[str | None]] = set()

    def do_GET(self) -> None:
        self.answer(200, b'{"data": [{"id": "first"}, {"id": "second"}]}')

    def do_POST(self) -> None:
        self.keys.add(self.headers["Authorization"])
        self.rfile.read(int(self.headers["Content-Length"]))
        match self.path:
            case "/v1/chat/completions":
                # Within a character, within a line's end, and two tokens at once.
                text = TOKEN + TOKEN + TOKEN + USAGE + b"data: [DONE]\n\n"
                self.stream(text[:56], text[56 : len(TOKEN) - 1], text[len(TOKEN) - 1 :])
            case "/v1/completions":
                self.stream(TOKEN, b'data: {"error": {"message": "engine died"}}\n\n')
            case "/v1/messages":
                self.stream(b"event: ping\ndata: {}\n\n", end=b"")
                self.close_connection = True
            case _:
                self.answer(429, b'{"error": {"message": "slow down"}}')

    def answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def stream(self, *pieces: bytes, end: bytes = b"0\r\n\r\n") -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for piece in pieces:
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            self.wfile.flush()
            time.sleep(0.05)
        self.wfile.write(end)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


class Listener(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Users leave in the middle when the run is over."""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with Listener(("127.0.0.1", 0), Server) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def done(url: str, slow: float, tmp_path_factory: pytest.TempPathFactory) -> LocustRun:
    file = tmp_path_factory.mktemp("locust") / "scenario.toml"
    file.write_text(SCENARIO)
    key = {"LOAD_API_KEY": "secret"}
    return run_locust(url, str(file), slow=slow, environment=key)


def test_a_stream_is_read_right_wherever_it_is_split(done: LocustRun) -> None:
    answers = done.entries["POST", "/v1/chat/completions"]["num_requests"]
    assert answers > 0
    assert done.entries["POST", "/v1/chat/completions"]["num_failures"] == 0
    assert done.entries["TTFT", "/v1/chat/completions"]["num_requests"] == answers
    assert done.entries["ITL", "/v1/chat/completions"]["num_requests"] == 2 * answers
    assert done.entries["TPS", "/v1/chat/completions"]["total_content_length"] == 2 * answers
    assert done.entries["TTFT", "/v1/chat/completions"]["min_response_time"] >= 50


@pytest.mark.parametrize("path", ["/v1/completions", "/v1/messages", "/v1/embeddings"])
def test_what_failed_or_was_cut_or_refused_is_a_failure(done: LocustRun, path: str) -> None:
    entry = done.entries["POST", path]
    assert entry["num_failures"] == entry["num_requests"] > 0
    assert ("TTFT", path) not in done.entries


def test_a_failure_within_the_limit_is_a_success_of_the_run(done: LocustRun) -> None:
    assert done.code == 0, done.log
    assert "Traceback" not in done.log


def test_the_key_is_sent(done: LocustRun) -> None:
    assert done.log
    assert Server.keys == {"Bearer secret"}


def test_a_server_that_is_not_there_breaks_the_limit(tmp_path: Path, slow: float) -> None:
    file = tmp_path / "scenario.toml"
    file.write_text(SCENARIO.replace("0.9", "0"))
    done = run_locust("http://127.0.0.1:9", str(file), slow=slow)
    assert done.code == 1
    assert "failure_ratio is 1" in done.log
    assert "itl_p50_ms was not measured" in done.log


def test_a_scenario_that_is_none_ends_before_anything_is_asked(url: str, slow: float) -> None:
    done = run_locust(url, "stedy", slow=slow)
    assert done.code == 1
    assert "there is no scenario stedy; there are embeddings, smoke" in done.log
