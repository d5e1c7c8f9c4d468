"""Every way to be refused, and that nobody sees a traceback or a path."""

import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.support.errors import assert_error
from tests.support.server import Server

CHAT = "/v1/chat/completions"
COMPLETIONS = "/v1/completions"
MESSAGES = "/v1/messages"
COUNT = "/v1/messages/count_tokens"
POSTS = [
    CHAT, COMPLETIONS, MESSAGES, COUNT, "/tokenize", "/detokenize", "/v1/embeddings",
    "/v1/chat/completions/render", "/v1/completions/render",
]  # fmt: skip
HELLO: dict[str, Any] = {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 2}


@pytest.mark.parametrize("path", [path for path in POSTS if path != "/v1/embeddings"])
@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"{bad}", b'"text"', b"[]", b"null", b"\xff\xfe", b"[" * 5000, b'{"a":' * 5000],
    ids=["empty", "cut", "bad", "string", "list", "null", "not-utf8", "deep-list", "deep-object"],
)
def test_a_body_that_is_no_json_object_is_refused(server: Server, path: str, body: bytes) -> None:
    headers = {"content-type": "application/json"}
    response = httpx.post(server.url + path, content=body, headers=headers)
    assert_error(response, 400, "invalid_request")


@pytest.mark.parametrize("path", [path for path in POSTS if path != "/v1/embeddings"])
def test_a_body_that_is_not_declared_as_json_is_refused(server: Server, path: str) -> None:
    response = httpx.post(server.url + path, content=b"{}", headers={"content-type": "text/plain"})
    assert_error(response, 415, "unsupported_media_type")


@pytest.mark.parametrize("path", [path for path in POSTS if path != "/v1/embeddings"])
def test_a_body_too_large_is_refused_before_it_is_sent(server: Server, path: str) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        connection.sendall(f"{head}Content-Length: {10**12}\r\n\r\n{{".encode())
        answer = connection.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"request_too_large" in answer


def test_a_body_without_a_length_is_refused_when_it_has_become_too_large(server: Server) -> None:
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        while True:
            sent += 1 << 20
            yield b" " * (1 << 20)

    headers = {"content-type": "application/json"}
    response = httpx.post(server.url + CHAT, content=endless(), headers=headers, timeout=60)
    assert_error(response, 413, "request_too_large")
    assert sent < 60 << 20


def test_a_route_for_another_kind_of_model_says_which(server: Server) -> None:
    error = assert_error(server.post("/v1/embeddings", {"input": "x"}), 404, "task_not_supported")
    assert "embedding model" in error["message"]


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": "Hello"}, "messages"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages.0.content"),
        ({"messages": []}, None),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"max_tokens": 10**6}, "max_tokens"),
        ({"max_tokens": "many"}, "max_tokens"),
        ({"n": 0}, "n"),
        ({"n": -1}, "n"),
        ({"n": 10**6}, "n"),
        ({"n": 1.5}, "n"),
        ({"logprobs": True, "top_logprobs": 10**4}, "logprobs"),
        ({"logprobs": True, "top_logprobs": -2}, "top_logprobs"),
        ({"top_logprobs": 2}, "top_logprobs"),
        ({"stop": [""]}, "stop"),
        ({"stop": [1, 2]}, "stop"),
        ({"stop": ["x"] * 10**4}, "stop"),
        ({"temperature": -1}, "temperature"),
        ({"top_p": 2}, "top_p"),
        ({"logit_bias": {"99999999": 1}}, "logit_bias"),
        ({"seed": 2**70}, "seed"),
        ({"allowed_token_ids": [7] * 1025}, "allowed_token_ids"),
        ({"stop_token_ids": list(range(113)), "min_tokens": 1}, "stop_token_ids"),
        ({"nvext": {"stop_token_ids": list(range(113))}}, "stop_token_ids"),
        ({"bad_words": [f"no {number}" for number in range(200)]}, "bad_words"),
        ({"bad_words": ["no " * 1000]}, "bad_words"),
        ({"bad_words": ["x" * 10**6]}, "bad_words"),
        ({"bad_words": [""]}, None),
        ({"bad_words": [1]}, "bad_words.0"),
        ({"tool_choice": "required"}, None),
        ({"response_format": {"type": "json_schema"}}, None),
        ({"chat_template": "{{ messages }}"}, None),
        ({"structured_outputs": "text"}, "structured_outputs"),
        ({"stop": ""}, "stop"),
        ({"messages": HELLO["messages"] * 5000}, "messages"),
        ({"nvext": {"guided_thing": 1}}, "nvext.guided_thing"),
        ({"functions": [{"name": "f"}]}, "functions"),
        ({"structured_outputs": {"json": "[" * 10**5}}, "structured_outputs.json"),
    ],
    ids=str,
)
def test_a_field_out_of_bounds_is_refused_before_the_first_byte(
    server: Server, fields: dict[str, Any], param: str | None, streamed: bool
) -> None:
    response = server.post(CHAT, {**HELLO, **fields, "stream": streamed})
    error = assert_error(response, 400, "invalid_request")
    if param is not None:
        assert error["param"] == param


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(
    "fields",
    [{}, {"prompt": [10**7]}, {"prompt": "x", "n": 0}, {"prompt": "x", "logprobs": 10**4}],
    ids=str,
)
def test_completions_refuse_alike(server: Server, fields: dict[str, Any], streamed: bool) -> None:
    assert_error(server.post(COMPLETIONS, {**fields, "stream": streamed}), 400, "invalid_request")


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("words", [20_000, 2_000_000], ids=["long", "endless"])
def test_a_prompt_too_long_says_so(server: Server, streamed: bool, words: int) -> None:
    text = "hello " * words
    chat = {**HELLO, "messages": [{"role": "user", "content": text}], "stream": streamed}
    error = assert_error(server.post(CHAT, chat), 400, "context_length_exceeded")
    assert error["param"] == "messages"
    completion = {"prompt": text, "stream": streamed}
    error = assert_error(server.post(COMPLETIONS, completion), 400, "context_length_exceeded")
    assert error["param"] == "prompt"
    message = {**chat, "model": "unigate-demo"}
    assert_error(server.post(MESSAGES, message), 400, "context_length_exceeded")


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("path", [CHAT, COMPLETIONS, MESSAGES])
def test_an_unknown_model_is_named(server: Server, path: str, streamed: bool) -> None:
    body = {**HELLO, "prompt": "x", "model": "gpt-99", "stream": streamed}
    error = assert_error(server.post(path, body), 404, "model_not_found")
    assert "gpt-99" in error["message"]
    assert "unigate-demo" in error["message"]


def test_an_unknown_model_cannot_be_looked_up(server: Server) -> None:
    assert_error(server.get("/v1/models/org/unknown"), 404, "model_not_found")


@pytest.mark.parametrize(
    "path",
    [
        "/", "/v1", "/v1/chat", "/health", "/metrics", "/v1/models/", "/docs/x",
        "/v1/messages/batches",
    ],
)  # fmt: skip
def test_every_other_route_is_404_in_the_error_shape(server: Server, path: str) -> None:
    response = server.get(path)
    assert response.status_code == 404
    assert_error(response, 404, response.json()["error"]["code"])


@pytest.mark.parametrize("path", POSTS)
def test_the_wrong_method_says_so(server: Server, path: str) -> None:
    response = server.get(path)
    assert_error(response, 405, "method_not_allowed")
    assert response.headers["allow"] == "POST"


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_a_part_that_cannot_be_rendered_is_refused(server: Server, streamed: bool) -> None:
    item = {
        "type": "function_call_output", "id": "f", "status": "completed", "created_by": None,
        "output": [{"type": "input_text", "text": "18 degrees"}],
    }  # fmt: skip
    response = server.post("/v1/responses", {"input": [item], "stream": streamed})
    assert assert_error(response, 400, "invalid_request")["param"] == "input"


def test_a_path_with_several_methods_names_them_all(server: Server) -> None:
    response = httpx.patch(f"{server.url}/v1/responses/r")
    assert_error(response, 405, "method_not_allowed")
    assert response.headers["allow"] == "DELETE, GET"


@pytest.mark.parametrize("query", ["stream=perhaps", "starting_after=x"])
def test_a_bad_parameter_of_the_query_is_named(server: Server, query: str) -> None:
    response = server.get(f"/v1/responses/r?{query}")
    error = assert_error(response, 400, "invalid_request")
    assert error["param"] == query.partition("=")[0]


def test_refusals_leave_the_server_as_it_was(server: Server) -> None:
    assert server.post(CHAT, HELLO).status_code == 200
    assert server.get("/v1/health/ready").json()["requests"] == 0
