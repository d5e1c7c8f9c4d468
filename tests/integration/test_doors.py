"""The ports there are: one for requests, and perhaps one for probes."""

import socket
import threading
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from app.doors import Doors, DoorUnusableError
from app.front import Probes
from app.health import Health
from app.settings import read
from engine import StateMachine
from engine.admission import Admission
from engine.inflight import Inflight
from profiles.progress import Progress
from tests.support.certificates import Certificates
from tests.support.doors import served
from tests.support.server import Server


def probes() -> Probes:
    return Probes(Health(StateMachine(lambda *_: None), Inflight(), Admission(), Progress()))


def test_probes_need_no_certificate_on_a_port_of_their_own(tmp_path: Path) -> None:
    files = Certificates(tmp_path / "tls")
    settings = read(files.variables("MTLS") | {"NIM_HEALTH_PORT": "0"}).settings
    with served(probes(), settings) as (port, health):
        assert httpx.get(f"http://localhost:{health}/v1/health/live").json()["status"] == "live"
        with pytest.raises(httpx.TransportError):
            httpx.get(f"https://localhost:{port}/v1/health/live", verify=files.client())


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
@pytest.mark.parametrize(
    "path", ["/v1/models", "/v1/health", "/v1/health/live/", "//v1/health/live"]
)
def test_that_port_has_nothing_else(method: str, path: str) -> None:
    with served(probes(), read({"NIM_HEALTH_PORT": "0"}).settings) as (_, health):
        answer = httpx.request(method, f"http://localhost:{health}{path}")
        assert answer.status_code == 404
        assert answer.json()["error"]["code"] == "route_not_found"
        assert httpx.post(f"http://localhost:{health}/v1/health/live").status_code == 404


def test_the_server_s_port_is_no_second_one() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    doors = Doors("127.0.0.1", port, read({"NIM_HEALTH_PORT": str(port)}).settings)
    assert doors.ports == (port, None)
    doors.close()


def test_a_port_that_is_taken_is_named_with_its_variable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        settings = read({"NIM_HEALTH_PORT": str(port)}).settings
        with pytest.raises(DoorUnusableError, match=f"{port}.*NIM_HEALTH_PORT"):
            Doors("127.0.0.1", 0, settings)


PAGE = {"origin": "https://page.example"}
CHAT = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1}


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/models", "/v1/responses/resp_1"])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_a_browser_may_ask_about_every_route(server: Server, path: str, method: str) -> None:
    asked = {
        **PAGE,
        "access-control-request-method": method,
        # Some of what OpenAI's client sends.
        "access-control-request-headers": "authorization,content-type,x-stainless-os",
    }
    answer = httpx.options(server.url + path, headers=asked)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "*"
    assert method in answer.headers["access-control-allow-methods"]
    assert "x-stainless-os" in answer.headers["access-control-allow-headers"]
    assert "access-control-allow-credentials" not in answer.headers


def test_a_page_reads_answers_streams_and_errors(server: Server) -> None:
    for body, status in ((CHAT, 200), (CHAT | {"stream": True}, 200), ({"messages": 1}, 400)):
        answer = server.post("/v1/chat/completions", body, headers=PAGE)
        assert answer.status_code == status
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "x-request-id" in answer.headers["access-control-expose-headers"]


def test_who_is_no_page_is_told_nothing_of_it(server: Server) -> None:
    answer = server.post("/v1/chat/completions", CHAT)
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_a_probe_does_not_wait_for_requests_that_came_with_it() -> None:
    came: list[str] = []
    begun, others_are_there = threading.Event(), threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        came.append(scope["path"])
        if scope["path"] == "/first":
            begun.set()
            others_are_there.wait(10)  # the event loop, too
        await send({"type": "http.response.start", "status": 204})
        await send({"type": "http.response.body"})

    def ask(client: socket.socket, request: str) -> None:
        client.sendall(f"{request} HTTP/1.1\r\nhost: x\r\n\r\n".encode())

    with served(app, read({}).settings) as (port, _), ExitStack() as stack:
        clients = [
            stack.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(10)
        ]
        for client in clients:
            ask(client, "GET /hello")
            assert client.recv(1000).startswith(b"HTTP/1.1 204")
        first, *others, prober = clients
        ask(first, "GET /first")
        assert begun.wait(10)
        for client in others:
            ask(client, "GET /work")
        ask(prober, "GET /v1/health/live")
        others_are_there.set()
        for client in clients:
            assert client.recv(1000).startswith(b"HTTP/1.1 204")
    assert came[10:] == ["/first", "/v1/health/live", *["/work"] * 8]
