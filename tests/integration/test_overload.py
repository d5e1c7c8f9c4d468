"""A server that has more to do than it can: who gets in, who waits, what the others are told."""

import re
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.errors import assert_error
from tests.support.keys import KeysFile
from tests.support.load import in_flight
from tests.support.places import small_buffers
from tests.support.server import Server
from tests.support.wait import wait_until

CHAT = "/v1/chat/completions"
# Of one sequence at a time, and one that is at hand when it ends.
ROOM = 2
WAITING = 3
WAIT_S = 8.0


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> KeysFile:
    file = KeysFile(tmp_path_factory.mktemp("keys") / "keys.toml")
    file.put("many")
    file.put("few")
    return file


@pytest.fixture(scope="module")
def busy_server(
    demo: Path, slow: float, keys: KeysFile, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    log = tmp_path_factory.mktemp("busy-server") / "log"
    # What is not read is soon more than the system holds.
    with small_buffers(16 << 10):
        yield from _serving(demo, slow, keys, log)


def _serving(demo: Path, slow: float, keys: KeysFile, log: Path) -> Iterator[Server]:
    environment = {
        "UNIGATE_API_KEYS_PATH": str(keys.path),
        "UNIGATE_MAX_WAITING": str(WAITING),
        "UNIGATE_MAX_WAIT_S": str(WAIT_S),
        "UNIGATE_DRAIN_TIMEOUT_S": "3",
    }
    arguments = ("--max-num-seqs", "1", "--scheduling-policy", "priority")
    with Server(str(demo), *arguments, log=log, slow=slow, environment=environment) as running:
        running.wait_until_ready()
        yield running


class Crowd:
    """Clients of one server; each request is a thread of its own."""

    def __init__(self, server: Server, keys: KeysFile) -> None:
        self._server = server
        self._keys = keys
        self._threads = ThreadPoolExecutor(16)

    def ask(self, holder: str, **fields: Any) -> "Future[httpx.Response]":
        """A short answer."""
        body = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 2, **fields}
        return self._threads.submit(
            self._server.post, CHAT, body, headers=self._keys.header(holder)
        )

    @contextmanager
    def filling(self, holder: str, times: int = ROOM) -> Iterator[list[ExitStack]]:
        """Streams without end, as long as the block runs or until one is closed."""
        body = {
            "messages": [{"role": "user", "content": "Go on."}],
            "ignore_eos": True,
            "stream": True,
        }
        with httpx.Client(base_url=self._server.url, timeout=60) as client, ExitStack() as all_of:
            streams = []
            for _ in range(times):
                stream = all_of.enter_context(ExitStack())
                stream.enter_context(
                    client.stream("POST", CHAT, json=body, headers=self._keys.header(holder))
                )
                streams.append(stream)
            yield streams

    def not_reading(self, holder: str) -> socket.socket:
        """A client of a stream that is larger than all buffers on the way."""
        body = {
            "messages": [{"role": "user", "content": "Hi"}],
            "max_tokens": 80,
            "ignore_eos": True,
            "stream": True,
            "logprobs": True,
            "top_logprobs": 20,
        }
        head = {"content-type": "application/json", **self._keys.header(holder)}
        asked = httpx.Request("POST", self._server.url + CHAT, json=body, headers=head)
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", self._server.port))
        lines = "".join(f"{name}: {value}\r\n" for name, value in asked.headers.items())
        client.sendall(f"POST {CHAT} HTTP/1.1\r\n{lines}\r\n".encode() + asked.content)
        return client

    def wait_for_line(self, length: int) -> None:
        wait_until(lambda: self.in_line() == length, within_s=5, what=f"{length} wait")

    def in_line(self) -> float:
        return self.metric("unigate_requests_waiting ")

    def metric(self, name: str) -> float:
        metrics = self._server.get("/v1/metrics", headers=self._keys.header("few")).text
        found = re.search(rf"^{re.escape(name)}([0-9.]+)$", metrics, re.MULTILINE)
        assert found, f"{name} is not among the metrics"
        return float(found[1])

    def is_over(self) -> bool:
        return self.metric("unigate_requests_inside ") == 0


@pytest.fixture
def crowd(busy_server: Server, keys: KeysFile) -> Iterator[Crowd]:
    here = Crowd(busy_server, keys)
    yield here
    if busy_server.process.poll() is None:
        wait_until(here.is_over, within_s=10, what="the engine has nothing to do")


def test_who_finds_no_room_waits_for_it(crowd: Crowd) -> None:
    with crowd.filling("few"):
        waiting = crowd.ask("few")
        crowd.wait_for_line(1)
        label = '{engine="0",model_name="unigate-demo"} '
        wait_until(
            lambda: crowd.metric("vllm:num_requests_waiting" + label) == 2,
            within_s=5,
            what="one waits in the engine, one in front of it",
        )
        assert crowd.metric("num_requests_waiting" + label) == 2
    assert waiting.result().status_code == 200


def test_a_full_line_is_told_at_once_and_when_to_come_again(
    crowd: Crowd, busy_server: Server
) -> None:
    with crowd.filling("few"):
        waiting = [crowd.ask("few") for _ in range(WAITING)]
        crowd.wait_for_line(WAITING)
        refused = crowd.ask("few").result(timeout=3)
        assert_error(refused, 503, "overloaded")
        assert 1 <= int(refused.headers["retry-after"]) <= 120
        assert crowd.metric('unigate_errors_total{code="overloaded"} ') >= 1
        line = next(line for line in busy_server.log.splitlines() if "code=overloaded" in line)
        assert "status=503" in line
    assert [answer.result().status_code for answer in waiting] == [200] * WAITING


def test_a_line_that_does_not_move_is_told_in_time(crowd: Crowd) -> None:
    with crowd.filling("few"):
        refused = crowd.ask("few").result(timeout=WAIT_S + 5)
        assert_error(refused, 503, "overloaded")
        assert "nothing was free within 8 s" in refused.json()["error"]["message"]


def test_nobodys_thousand_requests_keep_others_out(crowd: Crowd) -> None:
    with crowd.filling("many"):
        crowded = [crowd.ask("many") for _ in range(WAITING)]
        crowd.wait_for_line(WAITING)
        other = crowd.ask("few")
        wait_until(
            lambda: any(answer.done() for answer in crowded), within_s=5, what="one makes room"
        )
        refusals = [answer.result() for answer in crowded if answer.done()]
        assert len(refusals) == 1
        assert_error(refusals[0], 429, "share_used")
        assert refusals[0].headers["retry-after"]
    assert other.result().status_code == 200
    assert sorted(answer.result().status_code for answer in crowded) == [200, 200, 429]


def test_a_client_that_leaves_the_line_leaves_nothing(
    crowd: Crowd, busy_server: Server, keys: KeysFile
) -> None:
    with crowd.filling("few"):
        body = {"messages": [{"role": "user", "content": "Hi"}]}
        with pytest.raises(httpx.ReadTimeout):
            busy_server.post(CHAT, body, headers=keys.header("few"), timeout=1.0)
        crowd.wait_for_line(0)


def test_what_is_urgent_is_next(crowd: Crowd) -> None:
    ended: list[str] = []

    def note(name: str, answer: "Future[httpx.Response]") -> None:
        answer.add_done_callback(lambda _: ended.append(name))

    with crowd.filling("few"):
        for name, priority in (("late", 9), ("usual", 0), ("urgent", -9)):
            note(name, crowd.ask("few", priority=priority))
            crowd.wait_for_line(len(ended) + ["late", "usual", "urgent"].index(name) + 1)
    wait_until(lambda: len(ended) == 3, within_s=20, what="all are answered")
    assert ended == ["urgent", "usual", "late"]


def test_who_does_not_read_holds_a_connection_and_not_the_engine(
    crowd: Crowd, busy_server: Server, keys: KeysFile
) -> None:
    readers = ROOM + 1
    with ExitStack() as unread:
        for _ in range(readers):
            unread.enter_context(crowd.not_reading("many"))
        wait_until(
            lambda: in_flight(busy_server) == readers and crowd.in_line() == 0,
            within_s=20,
            what="all are let in, since none has anything left to generate",
        )
        assert crowd.ask("few").result(timeout=10).status_code == 200
        assert in_flight(busy_server) == readers
    wait_until(
        lambda: len(re.findall("key=many .* output_tokens=80 ", busy_server.log)) == readers,
        within_s=5,
        what="all are told of in the log",
    )


def test_who_waits_when_the_server_drains_may_go_elsewhere_at_once(
    crowd: Crowd, busy_server: Server
) -> None:
    with crowd.filling("few"):
        waiting = [crowd.ask("few") for _ in range(WAITING)]
        crowd.wait_for_line(WAITING)
        busy_server.process.send_signal(signal.SIGTERM)
        for answer in waiting:
            assert_error(answer.result(timeout=2), 503, "engine_draining")
    assert busy_server.wait_for_exit(within_s=15) == 0
