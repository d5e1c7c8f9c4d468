"""A server as SageMaker calls it: two routes of its own, beside the others."""

from typing import Any

import pytest

from tests.support.caller import Caller
from tests.support.errors import assert_error
from tests.support.server import Server
from tests.support.sse import DONE, events, text_of

CHAT, TEXT = "/v1/chat/completions", "/v1/completions"
SAY: dict[str, Any] = {
    "messages": [{"role": "user", "content": "What is unigate?"}],
    "max_tokens": 8,
    "temperature": 0,
}


def said_by(answer: Any) -> str:
    assert answer.status_code == 200, answer.text
    choice = answer.json()["choices"][0]
    found: str = choice["message"]["content"] if "message" in choice else choice["text"]
    return found


def test_ping_is_the_readiness_probe_and_needs_no_key(caller: Caller) -> None:
    ping, ready = (caller.server.get(path) for path in ("/ping", "/v1/health/ready"))
    assert ping.status_code == ready.status_code == 200
    assert ping.json()["status"] == "ready"
    assert " /ping " not in caller.server.log


def test_an_invocation_is_answered_as_the_route_it_is_for(caller: Caller) -> None:
    said = said_by(caller.post(CHAT, SAY))
    assert said
    assert said_by(caller.post("/invocations", SAY)) == said
    chunks = list(events(caller.post("/invocations", {**SAY, "stream": True})))
    assert text_of(chunks) == said
    assert chunks[-1] == DONE
    prompt = {"prompt": "unigate is", "max_tokens": 8, "temperature": 0}
    assert said_by(caller.post("/invocations", prompt)) == said_by(caller.post(TEXT, prompt))


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({}, CHAT),
        ([], CHAT),
        ({"messages": [], "prompt": "Hi"}, CHAT),
        ({**SAY, "max_tokens": -1}, CHAT),
        ({**SAY, "model": "another"}, CHAT),
        ({"prompt": "Hi", "max_tokens": -1}, TEXT),
        ({"input": "Hi"}, "/v1/embeddings"),
        ({"query": "Hi", "documents": ["a"]}, "/v1/rerank"),
    ],
)
def test_a_mistake_is_told_as_by_the_route_it_is_for(caller: Caller, body: Any, path: str) -> None:
    invoked, direct = caller.post("/invocations", body), caller.post(path, body)
    assert 400 <= direct.status_code < 500
    assert invoked.status_code == direct.status_code
    assert invoked.json() == direct.json()


def test_an_invocation_needs_json_and_a_key(caller: Caller) -> None:
    answer = caller.post("/invocations", SAY, content_type="text/csv")
    assert_error(answer, 415, "unsupported_media_type")
    assert_error(caller.server.post("/invocations", SAY), 401, "invalid_api_key")


def test_the_document_has_both_routes(caller: Caller) -> None:
    paths = caller.get("/openapi.json", timeout=60).json()["paths"]
    asked = paths["/invocations"]["post"]["requestBody"]["content"]["application/json"]
    assert len(asked["schema"]["anyOf"]) > 5
    assert paths["/invocations"]["post"]["security"]
    assert "security" not in paths["/ping"]["get"]


def test_there_is_neither_route_on_another_server(server: Server) -> None:
    assert_error(server.get("/ping"), 404, "route_not_found")
    assert_error(server.post("/invocations", SAY), 404, "route_not_found")
