"""What cannot be ranked, reranked or scored is refused, and the field is named."""

from typing import Any

import pytest

from tests.support.cross_encoder import CONTEXT, POISON
from tests.support.errors import assert_error
from tests.support.passages import LONG, QUERY, TEXTS, ranking
from tests.support.server import Server


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("/v1/ranking", ranking(QUERY, ["x", LONG], truncate=None), "passages.1.text"),
        ("/v1/ranking", ranking("x" * 10**6, ["x"], truncate="END"), "query.text"),
        ("/v1/rerank", {"query": QUERY, "documents": ["x", "x", LONG]}, "documents.2"),
        ("/v1/rerank", {"query": QUERY, "documents": ["x" * 10**6]}, "documents.0"),
        ("/v1/rerank", {"query": "x" * 10**6, "documents": ["x"]}, "query"),
        ("/v1/score", {"text_1": QUERY, "text_2": LONG}, "text_2"),
        ("/v1/score", {"data_1": ["x", "x"], "data_2": ["x", LONG]}, "data_2.1"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_a_text_that_is_too_long_is_named(
    reranker: Server, path: str, body: dict[str, Any], param: str
) -> None:
    refused = assert_error(reranker.post(path, body), 400, "context_length_exceeded")
    assert refused["param"] == param


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"query": None}, "query"),
        ({"query": "x"}, "query"),
        ({"query": {}}, "query.text"),
        ({"query": {"text": ""}}, "query.text"),
        ({"query": {"text": " \n"}}, "query.text"),
        ({"query": {"text": ["x"]}}, "query.text"),
        ({"query": {"text": "x", "image": "data:,x"}}, "query.image"),
        ({"passages": None}, "passages"),
        ({"passages": []}, "passages"),
        ({"passages": {"text": "x"}}, "passages"),
        ({"passages": ["x"]}, "passages.0"),
        ({"passages": [{"text": "x"}, {}]}, "passages.1.text"),
        ({"passages": [{"text": "x"}, {"text": 1}]}, "passages.1.text"),
        ({"passages": [{"image": "data:,x"}]}, "passages.0.image"),
        ({"passages": [{"text": "x"}] * 513}, "passages"),
        ({"truncate": "START"}, "truncate"),
        ({"truncate": ["END"]}, "truncate"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_what_cannot_be_ranked(reranker: Server, changes: dict[str, Any], param: str) -> None:
    response = reranker.post("/v1/ranking", {**ranking(QUERY, ["x"]), **changes})
    assert assert_error(response, 400, "invalid_request")["param"] == param


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"query": None}, "query"),
        ({"query": ""}, "query"),
        ({"query": ["x"]}, "query"),
        ({"documents": None}, "documents"),
        ({"documents": []}, "documents"),
        ({"documents": "x"}, "documents"),
        ({"documents": ["x", 5]}, "documents.1"),
        ({"documents": [{"title": "x"}]}, "documents.0"),
        ({"documents": [{"image": "data:,x"}]}, "documents.0.image"),
        ({"documents": [{"content": []}]}, "documents.0.content"),
        ({"documents": ["x"] * 2049}, "documents"),
        ({"rank_fields": ["title"]}, "rank_fields"),
        ({"top_n": 0}, "top_n"),
        ({"top_n": -1}, "top_n"),
        ({"top_n": 1.5}, "top_n"),
        ({"top_n": True}, "top_n"),
        ({"return_documents": "no"}, "return_documents"),
        ({"max_tokens_per_doc": -1}, "max_tokens_per_doc"),
        ({"max_tokens_per_doc": CONTEXT}, "max_tokens_per_doc"),
        ({"max_tokens_per_query": CONTEXT}, "max_tokens_per_query"),
        ({"truncate_prompt_tokens": CONTEXT + 1}, "truncate_prompt_tokens"),
        ({"truncate_prompt_tokens": "all"}, "truncate_prompt_tokens"),
        ({"truncation_side": "middle"}, "truncation_side"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_what_cannot_be_reranked(reranker: Server, changes: dict[str, Any], param: str) -> None:
    body = {"query": "x", "documents": ["x"], **changes}
    response = reranker.post("/v1/rerank", body)
    assert assert_error(response, 400, "invalid_request")["param"] == param


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "queries"),
        ({"text_1": "x"}, "text_2"),
        ({"items": ["x"]}, "queries"),
        ({"text_1": [], "text_2": ["x"]}, "text_1"),
        ({"text_1": "x", "text_2": []}, "text_2"),
        ({"text_1": ["x", "y"], "text_2": ["x"]}, "text_2"),
        ({"queries": ["x", "y"], "documents": ["x", "y", "z"]}, "documents"),
        ({"data_1": ["x", None], "data_2": ["x", "y"]}, "data_1.1"),
        ({"text_1": "x", "text_2": {"content": []}}, "text_2.content"),
        ({"text_1": "x", "text_2": ["x"] * 2049}, "text_2"),
        ({"text_1": ["x"] * 2049, "text_2": ["x"] * 2049}, "text_1"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_what_cannot_be_scored(reranker: Server, body: dict[str, Any], param: str) -> None:
    response = reranker.post("/v1/score", body)
    assert assert_error(response, 400, "invalid_request")["param"] == param


@pytest.mark.parametrize("path", ["/v1/ranking", "/v1/rerank", "/v1/score"])
def test_errors_that_all_three_share(reranker: Server, path: str) -> None:
    assert_error(reranker.post(path, {"model": "other"}), 404, "model_not_found")
    assert_error(reranker.post(path, ["x"]), 400, "invalid_request")
    assert_error(reranker.post(path, content=b"{}"), 415, "unsupported_media_type")
    assert_error(reranker.get(path), 405, "method_not_allowed")


def test_a_score_that_is_no_number_is_said_not_sorted(reranker: Server) -> None:
    body = ranking(QUERY, [TEXTS[0], f"it is {POISON}", TEXTS[1]])
    assert_error(reranker.post("/v1/ranking", body), 500, "generation_failed")
    # And the next is not affected.
    assert reranker.post("/v1/ranking", ranking(QUERY, TEXTS[:1])).status_code == 200


def test_an_embedding_model_names_the_text_that_is_too_long(embedding_server: Server) -> None:
    long = "word " * 1000
    body: dict[str, Any] = {"query": long, "documents": ["x"]}
    refused = assert_error(
        embedding_server.post("/v1/rerank", body), 400, "context_length_exceeded"
    )
    assert refused["param"] == "query"
    body = {"queries": ["x", "x"], "documents": ["x", long]}
    refused = assert_error(embedding_server.post("/v1/score", body), 400, "context_length_exceeded")
    assert refused["param"] == "documents.1"


def test_a_model_that_cannot_says_which_kind_can(
    server: Server, embedding_server: Server, reranker: Server
) -> None:
    for path in ("/v1/ranking", "/v1/rerank", "/v1/score"):
        error = assert_error(server.post(path, {}), 404, "task_not_supported")
        assert "a reranker or an embedding model" in error["message"]
    body = ranking(QUERY, TEXTS, model="minilm")
    error = assert_error(embedding_server.post("/v1/ranking", body), 404, "task_not_supported")
    assert "a reranker (a cross-encoder)" in error["message"]
    assert_error(reranker.post("/v1/embeddings", {"input": "x"}), 404, "task_not_supported")
