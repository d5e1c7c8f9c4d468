"""The OpenAPI document is true, and its page needs nothing from elsewhere."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute

from app.errors import (
    RULES,
    ForbiddenError,
    HeadTooLargeError,
    NotHttpError,
    RateLimitedError,
    RouteNotFoundError,
    TooManyConnectionsError,
    UnauthorizedError,
)
from app.routes import GUARDED, PUBLIC
from engine.errors import ShareUsedError
from tests.support.server import Server

README = (Path(__file__).parents[2] / "README.md").read_text()
CHAT = "/v1/chat/completions"
Json = dict[str, Any]


@pytest.fixture(scope="module")
def document(server: Server) -> Json:
    response = server.get("/openapi.json", timeout=60)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/json"
    found: Json = response.json()
    return found


def operations(document: Json) -> Iterator[tuple[str, str, Json]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def json_schema(described: Json) -> Json:
    schema: Json = described["content"]["application/json"]["schema"]
    return schema


def definition(document: Json, name: str) -> Json:
    found: Json = document["components"]["schemas"][name]
    return found


def references(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for item in value.values():
            yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


def test_it_has_the_servers_routes_and_no_others(document: Json) -> None:
    routes = {
        (method, route.path_format)
        for router in (*PUBLIC, *GUARDED)
        for route in router.routes
        if isinstance(route, APIRoute)
        for method in route.methods
    }
    assert {(method, path) for method, path, _ in operations(document)} == routes


def test_it_has_the_readmes_routes_and_no_others(document: Json) -> None:
    """A cell may name several: GET, DELETE `/a/{id}`, POST `/a`, `/b`."""
    named: set[tuple[str, str]] = set()
    for cell in re.findall(r"^\| ((?:GET|POST|DELETE)[^|]*)\|", README, re.MULTILINE):
        for methods, paths in re.findall(r"((?:[A-Z]+(?:, )?)+) ((?:`[^`]+`(?:, )?)+)", cell):
            for path in re.findall(r"`([^`]+)`", paths):
                named |= {(method, path) for method in methods.split(", ") if method}
    documented = {
        (method, re.sub(r"\{\w+\}", "{id}", path)) for method, path, _ in operations(document)
    }
    assert named == documented


def test_every_operation_says_what_it_takes_and_gives(document: Json) -> None:
    for method, path, operation in operations(document):
        assert operation["responses"]["200"]["content"], path
        for content in operation["responses"]["200"]["content"].values():
            assert content or path.startswith("/docs/"), path
        takes = method == "POST" and not path.endswith("/cancel")
        assert takes == ("requestBody" in operation), path
        if takes:
            ((media_type, asked),) = operation["requestBody"]["content"].items()
            assert asked["schema"]
            assert ("example" in asked) == (media_type == "application/json")


def test_what_it_refers_to_is_there(document: Json) -> None:
    found = set(references(document))
    defined = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert len(found) > 100
    assert found <= defined


def test_every_error_is_somewhere_under_the_status_it_has(document: Json) -> None:
    seen: set[tuple[str, str]] = set()
    for _, path, operation in operations(document):
        for status, response in operation["responses"].items():
            if status >= "400" and not path.startswith("/v1/health/"):
                code = json_schema(response)["allOf"][1]["properties"]["error"]["properties"]
                seen |= {(status, name) for name in code["code"]["enum"]}
                assert response["headers"]["x-request-id"]["required"]
                if status in {"503", "529"}:
                    assert response["headers"]["retry-after"]["required"]
    of_keys = {UnauthorizedError, ForbiddenError, RateLimitedError, ShareUsedError}
    of_connections = {NotHttpError, HeadTooLargeError, TooManyConnectionsError}
    elsewhere = {RouteNotFoundError} | of_keys | of_connections
    told = {(str(int(rule.status)), rule.code) for k, rule in RULES.items() if k not in elsewhere}
    assert seen == told | {("529", "overloaded")}


def test_errors_are_written_as_the_clients_of_a_route_read_them(document: Json) -> None:
    assert json_schema(document["paths"]["/v1/messages"]["post"]["responses"]["400"])["allOf"][
        0
    ] == {"$ref": "#/components/schemas/MessagesEnvelope"}
    assert json_schema(document["paths"][CHAT]["post"]["responses"]["400"])["allOf"][0] == {
        "$ref": "#/components/schemas/OpenAIEnvelope"
    }
    assert "securitySchemes" not in document["components"]  # this server asks for no keys
    assert "request-id" in document["paths"]["/v1/messages"]["post"]["responses"]["200"]["headers"]


def test_streams_are_documented_beside_whole_answers(document: Json) -> None:
    streamed = {
        path
        for _, path, operation in operations(document)
        if "text/event-stream" in operation["responses"]["200"]["content"]
    }
    assert streamed == {
        CHAT, "/v1/completions", "/v1/messages", "/v1/responses", "/v1/responses/{response_id}",
        "/v1/audio/transcriptions", "/v1/audio/translations",
    }  # fmt: skip


def test_limits_of_the_server_are_in_it(document: Json) -> None:
    fields = definition(document, "ChatRequest")["properties"]
    assert fields["n"]["anyOf"][0] == {"type": "integer", "minimum": 1, "maximum": 128}
    assert fields["messages"]["maxItems"] == 4096
    texts = definition(document, "EmbeddingsRequest")["properties"]["input"]["anyOf"]
    kinds = {str(kind.get("items", {}).get("type")): kind.get("maxItems") for kind in texts}
    assert kinds == {"integer": None, "array": 2048, "None": None, "string": 2048}


def test_fields_of_nim_are_in_it(document: Json) -> None:
    fields = definition(document, "EmbeddingsRequest")["properties"]
    assert fields["truncate"]["anyOf"][0]["enum"] == ["NONE", "END", "START"]
    assert {"input_type", "embedding_type", "dimensions"} <= fields.keys()


@pytest.mark.parametrize(
    "path",
    [
        CHAT, "/v1/completions", "/v1/responses", "/v1/messages", "/v1/messages/count_tokens",
        "/tokenize", "/detokenize", "/v1/chat/completions/render", "/v1/completions/render",
    ],
)  # fmt: skip
def test_its_examples_are_answered(server: Server, document: Json, path: str) -> None:
    body = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]
    response = server.post(path, body["example"])
    assert response.status_code == 200, response.text


def test_its_example_for_an_embedding_model_is_answered(embedding_server: Server) -> None:
    document = embedding_server.get("/openapi.json", timeout=60).json()
    body = document["paths"]["/v1/embeddings"]["post"]["requestBody"]["content"]
    example = body["application/json"]["example"]
    assert example["model"] == "minilm"
    assert embedding_server.post("/v1/embeddings", example).status_code == 200


def test_the_page_fetches_nothing_from_elsewhere(server: Server) -> None:
    page = server.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert "//" not in re.sub(r"<!--.*?-->", "", page.text)
    assert '"validatorUrl": null' in page.text
    links = re.findall(r"""(?:src|href)="([^"]+)"|url: '([^']+)'""", page.text)
    addresses = {one or other for one, other in links} - {"data:,"}
    assert addresses == {"docs/swagger-ui-bundle.js", "docs/swagger-ui.css", "openapi.json"}
    for address in addresses:
        found = httpx.get(f"{server.url}/docs/../{address}")
        assert found.status_code == 200
        assert len(found.content) > 10_000
