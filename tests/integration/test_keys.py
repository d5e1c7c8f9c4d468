"""A server with keys: nobody gets in without one, and each as far as it reaches."""

import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from fastapi.routing import APIRoute

from app.routes import GUARDED
from tests.support.keys import KeysFile
from tests.support.server import Server
from tests.support.wait import wait_until

CHAT = "/v1/chat/completions"
ASK: dict[str, Any] = {
    "messages": [{"role": "user", "content": "Hi"}],
    "max_tokens": 4,
    "ignore_eos": True,
}
ROUTES = sorted(
    (
        method,
        str(route.path).replace("{response_id}", "resp_1").replace("{name:path}", "unigate-demo"),
    )
    for router in GUARDED
    for route in router.routes
    if isinstance(route, APIRoute)
    for method in route.methods
)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> KeysFile:
    file = KeysFile(tmp_path_factory.mktemp("keys") / "keys.toml")
    file.put("team-a")
    file.put("team-b")
    file.put("chief", admin="true")
    file.put("late", expires="2020-01-01T00:00:00Z")
    file.put("seldom", requests_per_minute="2")
    file.put("brief", tokens_per_minute="100")
    return file


@pytest.fixture(scope="module")
def guarded(
    demo: Path, slow: float, keys: KeysFile, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    log = tmp_path_factory.mktemp("guarded") / "log"
    environment = {"UNIGATE_API_KEYS_PATH": str(keys.path), "NIM_JSONL_LOGGING": "1"}
    with Server(str(demo), log=log, slow=slow, environment=environment) as running:
        running.wait_until_ready()
        yield running


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_every_route_needs_a_key(guarded: Server, method: str, path: str) -> None:
    answer = httpx.request(method, guarded.url + path, json=ASK)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    error = answer.json()["error"]
    assert error["code"] == "invalid_api_key"
    assert error["type"] == "authentication_error"


@pytest.mark.parametrize(
    "path", ["/", "/nothing", "/v1/health", "/v1/health/", "/v1/health/live/x"]
)
def test_what_does_not_exist_is_not_told_either(guarded: Server, path: str) -> None:
    assert guarded.get(path).status_code == 401


def test_probes_need_none(guarded: Server) -> None:
    for probe in ("live", "ready", "startup"):
        assert guarded.get(f"/v1/health/{probe}").status_code == 200


def test_a_browser_may_ask_first(guarded: Server) -> None:
    asked = {"origin": "https://page.example", "access-control-request-method": "POST"}
    assert httpx.options(guarded.url + CHAT, headers=asked).status_code == 200


@pytest.mark.parametrize(
    "header",
    [
        ("Authorization", "Bearer secret-team-a"),
        ("authorization", "bearer secret-team-a"),
        ("x-api-key", "secret-team-a"),
        ("X-Api-Key", "secret-team-a"),
    ],
)
def test_a_key_is_taken_as_either_dialect_sends_it(
    guarded: Server, header: tuple[str, str]
) -> None:
    assert guarded.post(CHAT, ASK, headers=[header]).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        [("authorization", "Bearer secret-team-x")],
        [("authorization", "Bearer secret-late")],
        [("authorization", "Bearer")],
        [("authorization", "Basic c2VjcmV0LXRlYW0tYTo=")],
        [("authorization", "secret-team-a")],
        [("x-api-key", "")],
        [("x-api-key", "secret-team-a"), ("authorization", "Bearer secret-team-b")],
        [("authorization", "Bearer secret-team-a"), ("authorization", "Bearer secret-team-b")],
        [("x-forwarded-authorization", "Bearer secret-team-a")],
        [("cookie", "authorization=Bearer secret-team-a")],
    ],
    ids=[
        "unknown",
        "expired",
        "empty",
        "basic",
        "bare",
        "empty-x",
        "two",
        "twice",
        "odd",
        "cookie",
    ],
)
def test_no_other_key_is(guarded: Server, headers: list[tuple[str, str]]) -> None:
    answer = guarded.post(CHAT, ASK, headers=headers)
    assert answer.status_code == 401
    assert "secret" not in answer.text


def raw(server: Server, request: str) -> str:
    """The answer to bytes that no client's library would send."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(request.encode().replace(b"\n", b"\r\n"))
        return connection.recv(65536).decode()


@pytest.mark.parametrize(
    "head",
    [
        "GET /v1/health/live/../../models HTTP/1.1\nHost: a",
        "GET /v1/health/%2e%2e/models HTTP/1.1\nHost: a",
        "GET //v1/models HTTP/1.1\nHost: a",
        "GET /V1/MODELS HTTP/1.1\nHost: a",
        "GET /v1/models;/v1/health/live HTTP/1.1\nHost: a",
        "GET /v1/models?/v1/health/live HTTP/1.1\nHost: a",
        "GET /v1/models#/v1/health/live HTTP/1.1\nHost: a",
        "GET http://a/v1/models HTTP/1.1\nHost: /v1/health/live",
        "GET /v1/models HTTP/1.1\nHost: a/v1/health/live",
        "GET /v1/models HTTP/1.1\nHost: a\nX-Original-URL: /v1/health/live",
        "GET /v1/models HTTP/1.1\nHost: a\nX-Forwarded-Prefix: /v1/health",
        "POST /v1/health/live HTTP/1.1\nHost: a\nX-HTTP-Method-Override: GET\nContent-Length: 0",
        "GET /v1/models HTTP/1.0",
        "GET /v1/health/live\t/v1/models HTTP/1.1\nHost: a",
    ],
)
def test_no_way_of_writing_a_path_gets_round_it(guarded: Server, head: str) -> None:
    status = raw(guarded, head + "\n\n").split(" ", 2)[1]
    assert status in ("400", "401")


def test_a_request_inside_another_gets_no_further(guarded: Server) -> None:
    inner = "GET /v1/models HTTP/1.1\nHost: a\n\n"
    head = "POST /v1/health/live HTTP/1.1\nHost: a\nContent-Length: 4\nTransfer-Encoding: chunked"
    answer = raw(guarded, f"{head}\n\n0\n\n{inner}")
    assert '"object":"list"' not in answer


def test_only_an_admins_key_changes_the_server(guarded: Server, keys: KeysFile) -> None:
    body = {"lora_name": "mine", "lora_path": "mine"}
    for path in ("/v1/load_lora_adapter", "/v1/unload_lora_adapter"):
        refused = guarded.post(path, body, headers=keys.header("team-a"))
        assert refused.status_code == 403
        assert refused.json()["error"]["code"] == "permission_denied"
        allowed = guarded.post(path, body, headers=keys.header("chief"))
        assert allowed.json()["error"]["code"] == "adapters_not_enabled"


def test_more_requests_than_a_key_has_are_told_when_to_come_back(
    guarded: Server, keys: KeysFile
) -> None:
    header = keys.header("seldom")
    left = []
    for _ in range(2):
        answer = guarded.get("/v1/models", headers=header)
        assert answer.status_code == 200
        assert answer.headers["x-ratelimit-limit-requests"] == "2"
        left.append(answer.headers["x-ratelimit-remaining-requests"])
    assert left == ["1", "0"]
    refused = guarded.post(CHAT, ASK, headers=header)
    assert refused.status_code == 429
    assert refused.json()["error"]["code"] == "rate_limit_exceeded"
    assert 0 < int(refused.headers["retry-after"]) <= 30
    assert re.fullmatch(r"\d+\.\d{3}s", refused.headers["x-ratelimit-reset-requests"])
    assert guarded.get("/v1/models", headers=keys.header("team-a")).status_code == 200


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_tokens_are_booked_when_they_are_there(
    guarded: Server, keys: KeysFile, stream: bool
) -> None:
    name = f"brief-{stream}".lower()
    keys.put(name, tokens_per_minute="100")
    header = keys.header(name)
    wait_until(
        lambda: guarded.get("/v1/models", headers=header).status_code == 200,
        within_s=10,
        what="the key is known",
    )
    long = ASK | {"max_tokens": 200, "stream": stream}
    first = guarded.post(CHAT, long, headers=header)
    assert first.status_code == 200
    assert first.headers["x-ratelimit-remaining-tokens"] == "100"
    second = guarded.post(CHAT, long, headers=header)
    assert second.status_code == 429
    assert "tokens per minute" in second.json()["error"]["message"]
    assert int(second.headers["retry-after"]) >= 60


def test_the_file_is_followed(guarded: Server, keys: KeysFile) -> None:
    def status() -> int:
        return guarded.get("/v1/models", headers=keys.header("guest")).status_code

    assert status() == 401
    keys.put("guest")
    wait_until(lambda: status() == 200, within_s=10, what="the new key is good")
    good = keys.path.read_text()
    keys.path.write_text(good + "\n[keys.")
    wait_until(lambda: "files.not_reloaded" in guarded.log, within_s=10, what="it is loud")
    assert status() == 200
    keys.remove("guest")
    wait_until(lambda: status() == 401, within_s=10, what="the key is gone")


def test_official_clients_bring_their_key(guarded: Server) -> None:
    client = openai.OpenAI(base_url=f"{guarded.url}/v1", api_key="secret-team-a", max_retries=0)
    assert client.models.list().data
    wrong = openai.OpenAI(base_url=f"{guarded.url}/v1", api_key="wrong", max_retries=0)
    with pytest.raises(openai.AuthenticationError):
        wrong.models.list()
    limited = openai.OpenAI(base_url=f"{guarded.url}/v1", api_key="secret-seldom", max_retries=0)
    while guarded.get("/v1/models", headers={"x-api-key": "secret-seldom"}).status_code == 200:
        pass
    with pytest.raises(openai.RateLimitError):
        limited.models.list()


def hits(server: Server, keys: KeysFile) -> float:
    text = server.get("/v1/metrics", headers=keys.header("team-a")).text
    found = re.search(r"^vllm:prefix_cache_hits_total{.*} (.*)$", text, re.MULTILINE)
    assert found
    return float(found[1])


@pytest.mark.parametrize("salt", [None, "mine"], ids=["plain", "salted"])
def test_keys_do_not_share_a_cache_of_prompts(
    guarded: Server, keys: KeysFile, salt: str | None
) -> None:
    long = [{"role": "user", "content": f"{salt} and the rest of it. " * 60}]
    body = ASK | {"messages": long} | ({"cache_salt": salt} if salt else {})

    def gained(name: str) -> float:
        before = hits(guarded, keys)
        assert guarded.post(CHAT, body, headers=keys.header(name)).status_code == 200
        return hits(guarded, keys) - before

    assert gained("team-a") == 0
    assert gained("team-a") > 100
    assert gained("team-b") == 0


def test_the_document_says_what_a_key_is_needed_for(guarded: Server, keys: KeysFile) -> None:
    answer = guarded.get("/openapi.json", headers=keys.header("team-a"), timeout=60)
    document = answer.json()
    assert set(document["components"]["securitySchemes"]) == {"bearer", "x-api-key"}
    for path, methods in document["paths"].items():
        for operation in methods.values():
            is_probe = path.startswith("/v1/health/")
            assert {"401", "429"}.isdisjoint(operation["responses"]) == is_probe
            assert ("403" in operation["responses"]) == path.endswith("load_lora_adapter")
            assert ("security" in operation) != is_probe


def test_names_are_told_and_secrets_never(guarded: Server, keys: KeysFile) -> None:
    guarded.post(CHAT, ASK, headers=keys.header("team-b"))
    metrics = guarded.get("/v1/metrics", headers=keys.header("team-a")).text
    assert 'unigate_key_tokens_total{key="team-b",kind="output"}' in metrics
    wait_until(lambda: '"key":"team-b"' in guarded.log, within_s=5, what="the line is there")
    for text in (guarded.log, metrics):
        assert "secret-" not in text


def test_every_line_of_the_log_is_an_object(guarded: Server, keys: KeysFile) -> None:
    guarded.post(CHAT, ASK, headers=keys.header("team-a"))
    wait_until(lambda: '"path":"/v1/chat/completions"' in guarded.log, within_s=5, what="a line")
    lines = [json.loads(line) for line in guarded.log.splitlines()]
    assert all({"timestamp", "level", "message", "source"} <= line.keys() for line in lines)
    # The engine core's and the worker's, too.
    assert {"EngineCore", "MainProcess"} <= {line["process"].split("_")[0] for line in lines}
    assert {"app.access", "vllm"} <= {
        name if name.startswith("app") else name.partition(".")[0]
        for name in (line["logger"] for line in lines)
    }
