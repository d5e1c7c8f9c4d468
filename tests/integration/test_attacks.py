"""What is known to have broken servers of this kind, sent to this one.

The comments name what it broke. Keys, slow clients, media and adapters have attacks of their own in
the tests that are named after them.
"""

import socket
from collections.abc import Iterator
from typing import Any

import httpx
import psutil
import pytest

from tests.support.load import is_idle
from tests.support.server import Server
from tests.support.wait import wait_until

CHAT = "/v1/chat/completions"
SAY = [{"role": "user", "content": "Hi"}]
# Allocators keep some; one of the bodies below alone is more.
MOST_MIB = 192
_MIB = 1 << 20


def nested(depth: int, opening: str = '{"a":', closing: str = "}") -> str:
    return opening * depth + "1" + closing * depth


def deep_schema(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(depth):
        schema = {"type": "object", "properties": {"a": schema}}
    return schema


def schema(body: Any) -> dict[str, Any]:
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": body}}
    return {"messages": SAY, "response_format": form}


# What is sent, as JSON → the codes that may come back.
BODIES: dict[str, tuple[str, Any, set[str]]] = {
    # CVE-2026-34756: allocated before it was checked.
    "a million answers": (CHAT, {"messages": SAY, "n": 10**6}, {"invalid_request"}),
    "a million candidates": (
        "/v1/completions", {"prompt": "Hi", "best_of": 10**6, "n": 10**6}, {"invalid_request"}
    ),
    "a million log probabilities": (
        CHAT, {"messages": SAY, "logprobs": True, "top_logprobs": 10**6}, {"invalid_request"}
    ),
    "a hundred thousand prompts": (
        "/v1/completions", {"prompt": ["Hi"] * 10**5}, {"invalid_request"}
    ),
    "a hundred thousand stops": (
        CHAT, {"messages": SAY, "stop": ["x"] * 10**5}, {"invalid_request"}
    ),
    "a hundred thousand messages": (CHAT, {"messages": SAY * 10**5}, {"invalid_request"}),
    "ten thousand tools": (
        CHAT,
        {
            "messages": SAY,
            "tools": [{"type": "function", "function": {"name": f"f{n}"}} for n in range(10**4)],
        },
        {"invalid_request"},
    ),
    "a million biases": (
        CHAT, {"messages": SAY, "logit_bias": {str(n): 1 for n in range(10**5)}},
        {"invalid_request"},
    ),
    "ten million characters": (
        CHAT,
        {"messages": [{"role": "user", "content": "word " * (2 * 10**6)}]},
        {"context_length_exceeded"},
    ),
    # CVE-2025-48942, -48943, -48944: grammars that crashed the engine, or never compiled.
    "a schema two hundred deep": (CHAT, schema(deep_schema(200)), {"invalid_request"}),
    "a schema of unknown types": (CHAT, schema({"type": "something"}), {"invalid_request"}),
    "an expression that does not end": (
        CHAT, {"messages": SAY, "structured_outputs": {"regex": "(" * 5000}}, {"invalid_request"}
    ),
    "an expression that backtracks": (
        CHAT, schema({"type": "string", "pattern": "(a{,1000}){,1000}" * 20}), {"invalid_request"}
    ),
    # CVE-2025-62164: unpickled what a client had sent.
    "embeddings in place of words": (
        "/v1/completions", {"prompt_embeds": "gASVAAAAAAAAAA=="}, {"invalid_request"}
    ),
    # CVE-2025-61620: rendered a client's template.
    "a template of one's own": (
        CHAT, {"messages": SAY, "chat_template": "{% for i in range(10**9) %}x{% endfor %}"},
        {"invalid_request"},
    ),
    # CVE-2025-6242: fetched what it was told to.
    "a picture from inside": (
        CHAT,
        {
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"type": "image_url", "image_url": {"url": "http://169.254.169.254/"}}
                    ],
                }
            ]
        },
        {"invalid_request"},
    ),
}  # fmt: skip

# What is sent, as it is → the statuses that may come back.
TEXTS: dict[str, tuple[bytes, set[int]]] = {
    "json a hundred thousand deep": (nested(10**5).encode(), {400}),
    "lists a hundred thousand deep": (nested(10**5, "[", "]").encode(), {400}),
    "a number without end": (b'{"messages": [], "max_tokens": ' + b"9" * 10**5 + b"}", {400}),
    "infinity": (b'{"messages": [], "temperature": 1e999}', {400}),
    "not a number": (b'{"messages": [], "temperature": NaN}', {400}),
    "no utf-8": (b'{"messages": [{"role": "user", "content": "\xff\xfe"}]}', {400}),
    "half a surrogate": (
        b'{"messages": [{"role": "user", "content": "\\ud800"}], "max_tokens": 1}', {200, 400}
    ),
    "nothing": (b"", {400}),
    "the same key a million times": (b"{" + b'"n":1,' * 10**6 + b'"n":2}', {400}),
}  # fmt: skip

# vLLM's own server has, or had, them; some need no key there (#58144).
NOT_HERE = [
    "/collective_rpc", "/pause", "/resume", "/sleep", "/wake_up", "/update_weights",
    "/reset_prefix_cache", "/reset_mm_cache", "/server_info", "/start_profile", "/scale_elastic_ep",
    "/inference/v1/generate", "/invocations", "/ping", "/metrics", "/health", "/load", "/version",
    "/v1/load_lora_adapter", "/v1/unload_lora_adapter", "/admin", "/debug", "/.env",
]  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def unharmed(server: Server) -> Iterator[None]:
    """In the end it is the same server, with the same answers, and hardly larger."""
    process = psutil.Process(server.process.pid)
    engine = server.engine_core().pid
    before_mib, answer = process.memory_info().rss / _MIB, answered(server)
    yield
    wait_until(lambda: is_idle(server), within_s=20, what="nothing is left to do")
    assert answered(server) == answer
    assert server.engine_core().pid == engine
    assert process.memory_info().rss / _MIB <= before_mib + MOST_MIB
    assert "Traceback" not in server.log


def answered(server: Server) -> str:
    ask = {"messages": SAY, "max_tokens": 8, "temperature": 0}
    answer = server.post(CHAT, ask)
    assert answer.status_code == 200
    content: str = answer.json()["choices"][0]["message"]["content"]
    return content


@pytest.mark.parametrize("name", BODIES)
def test_a_request_that_is_too_much_is_refused(server: Server, name: str) -> None:
    path, body, codes = BODIES[name]
    answer = server.post(path, body, timeout=20.0)
    assert answer.status_code == 400, answer.text[:500]
    assert answer.json()["error"]["code"] in codes
    # CVE-2026-22778: messages that told of the machine.
    assert "0x" not in answer.text
    assert "/site-packages/" not in answer.text


@pytest.mark.parametrize("name", TEXTS)
def test_so_is_a_body_that_is_none(server: Server, name: str) -> None:
    content, statuses = TEXTS[name]
    headers = {"content-type": "application/json"}
    answer = httpx.post(server.url + CHAT, content=content, headers=headers, timeout=20)
    assert answer.status_code in statuses, answer.text[:500]
    assert answer.status_code == 200 or answer.json()["error"]["code"] == "invalid_request"


def test_a_body_that_is_packed_is_not_unpacked(server: Server) -> None:
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    answer = httpx.post(server.url + CHAT, content=b"\x1f\x8b\x08\x00", headers=headers)
    assert answer.status_code == 400


@pytest.mark.parametrize("path", NOT_HERE)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_there_are_no_back_doors(server: Server, method: str, path: str) -> None:
    answer = httpx.request(method, server.url + path, json={})
    assert answer.status_code in (404, 405)
    assert answer.json()["error"]["type"] in ("not_found_error", "invalid_request_error")


def spoken(server: Server, said: bytes) -> bytes:
    """What the server has to say until it hangs up, or for a second."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as client:
        client.sendall(said)
        client.settimeout(1)
        heard = b""
        try:
            while part := client.recv(65536):
                heard += part
        except TimeoutError:
            pass
    return heard


@pytest.mark.parametrize(
    "target",
    [
        b"/v1/health/live/../../metrics", b"/v1/%2e%2e/metrics", b"//v1/metrics",
        b"/v1/metrics/", b"/V1/METRICS", b"/v1/metrics%00", b"/v1/metrics;x=y", b"*", b"/%",
        b"/v1/chat/completions%2f..%2f..%2fmetrics",
    ],
)  # fmt: skip
def test_a_path_is_what_it_says(server: Server, target: bytes) -> None:
    heard = spoken(server, b"GET " + target + b" HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
    assert heard.split(b" ", 2)[1] in (b"404", b"400"), heard[:200]


# CVE-2026-48746, CVE-2026-48710: a forged host moved the path.
@pytest.mark.parametrize(
    "host", [b"x/v1/health/live?", b"x#", b"127.0.0.1:1/v1/models", b"", b"x@y", b"[::1"]
)
def test_a_host_is_not_looked_at(server: Server, host: bytes) -> None:
    head = b"GET /v1/nothing HTTP/1.1\r\nhost: " + host + b"\r\nconnection: close\r\n\r\n"
    assert spoken(server, head).split(b" ", 2)[1] in (b"404", b"400")


@pytest.mark.parametrize("method", [b"TRACE", b"CONNECT", b"OPTIONS", b"PUT", b"DELETE", b"PRI"])
def test_other_methods_do_nothing(server: Server, method: bytes) -> None:
    head = method + b" /v1/models HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    assert spoken(server, head).split(b" ", 2)[1] in (b"400", b"404", b"405")


def test_no_other_protocol_is_spoken(server: Server) -> None:
    head = (
        b"GET /v1/models HTTP/1.1\r\nhost: x\r\n"
        b"connection: upgrade, close\r\nupgrade: websocket\r\n"
        b"sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    assert spoken(server, head).split(b" ", 2)[1] != b"101"


def test_requests_that_are_sent_ahead_by_the_thousand_are_answered(server: Server) -> None:
    one = b"GET /v1/nothing HTTP/1.1\r\nhost: x\r\n\r\n"
    assert spoken(server, one * 2000).count(b"HTTP/1.1 404") == 2000


def test_a_gigabyte_that_is_announced_is_not_waited_for(server: Server) -> None:
    head = b"POST " + CHAT.encode() + b" HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
    heard = spoken(server, head + b"content-length: 1073741824\r\n\r\n")
    assert heard.split(b" ", 2)[1] == b"413"


# CVE-2025-23310: counted only what was announced.
def test_nor_is_one_that_comes_in_pieces(server: Server) -> None:
    head = b"POST " + CHAT.encode() + b" HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
    chunk = b"100000\r\n" + b"x" * _MIB + b"\r\n"
    sent = 0
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as client:
        client.sendall(head + b"transfer-encoding: chunked\r\n\r\n")
        try:
            while sent < 1024:
                client.sendall(chunk)
                sent += 1
            heard = client.recv(65536)
        except OSError:  # it has hung up
            heard = b""
    assert sent < 100
    assert not heard or heard.split(b" ", 2)[1] == b"413"


@pytest.mark.parametrize("size", [b"FFFFFFFFFFFFFFFFFF", b"-1", b"0x10"])
def test_a_chunk_of_no_size_is_refused(server: Server, size: bytes) -> None:
    head = b"POST " + CHAT.encode() + b" HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
    heard = spoken(server, head + b"transfer-encoding: chunked\r\n\r\n" + size + b"\r\nx\r\n")
    assert heard.split(b" ", 2)[1] == b"400"


def test_an_id_is_no_novel(server: Server) -> None:
    headers = {"x-request-id": "x" * 9999}
    answer = server.post(CHAT, {"messages": SAY, "max_tokens": 1}, headers=headers)
    assert len(answer.headers["x-request-id"]) == 32


def test_fields_that_say_too_much_do_not_come_back(server: Server) -> None:
    body = {"messages": SAY, "max_tokens": 1, "model": "m" * 10**6}
    answer = server.post(CHAT, body)
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "model_not_found"
    assert len(answer.content) < 2 * 10**6
