"""Fields that nobody knows are ignored, and counted by the route they came to."""

import re
from typing import Any

import pytest

from tests.support import tones
from tests.support.passages import QUERY, TEXTS, ranking
from tests.support.server import Server

_COUNTS = re.compile(r'^unigate_unknown_fields_total\{route="(\S+)"\} ([0-9.]+)$', re.MULTILINE)
MESSAGES = [{"role": "user", "content": "Hello"}]
CHAT: dict[str, Any] = {"messages": MESSAGES, "max_tokens": 1}
MESSAGE: dict[str, Any] = {"messages": MESSAGES, "model": "unigate-demo"}
KNOWN: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {
        **CHAT, "user": "me", "nvext": {"top_k": 1}, "modalities": ["text"],
    },
    "/v1/completions": {"prompt": "x", "max_tokens": 1, "guided_regex": "a", "best_of": 1},
    "/v1/responses": {"input": "x", "max_output_tokens": 16, "metadata": {}},
    "/v1/messages": {**MESSAGE, "max_tokens": 1, "top_k": 1},
    "/v1/messages/count_tokens": MESSAGE,
    "/tokenize": {"prompt": "x"},
    "/detokenize": {"tokens": [1]},
    "/v1/chat/completions/render": CHAT,
    "/v1/completions/render": {"prompt": "x"},
}  # fmt: skip
COMPARE = {
    "/v1/ranking": ranking(QUERY, TEXTS, truncate="END"),
    "/v1/rerank": {"query": QUERY, "documents": TEXTS, "top_n": 1, "return_documents": False},
    "/v1/score": {"text_1": QUERY, "text_2": TEXTS},
}


def counts(server: Server) -> dict[str, float]:
    """All that were counted so far, by route."""
    found = _COUNTS.findall(server.get("/v1/metrics").text)
    return {route: float(count) for route, count in found}


def assert_counts(server: Server, path: str, expected: int, *body: Any, **options: Any) -> None:
    before = counts(server)
    response = server.post(path, *body, **options)
    assert response.status_code == 200, response.text
    assert counts(server) == {**before, path: before[path] + expected}


@pytest.mark.parametrize("path", KNOWN)
def test_a_model_that_generates(server: Server, path: str) -> None:
    assert_counts(server, path, 0, KNOWN[path])
    assert_counts(server, path, 2, {**KNOWN[path], "temprature": 0, 'x"} 1\n': {"model": 1}})


@pytest.mark.parametrize("path", COMPARE)
def test_a_reranker(reranker: Server, path: str) -> None:
    assert_counts(reranker, path, 0, COMPARE[path])
    assert_counts(reranker, path, 1, {**COMPARE[path], "top_m": 1})


def test_a_model_that_embeds(embedding_server: Server) -> None:
    known = {"input": "x", "input_type": "query", "truncate": "END", "user": "me"}
    assert_counts(embedding_server, "/v1/embeddings", 0, known)
    assert_counts(embedding_server, "/v1/embeddings", 1, {**known, "modality": "text"})


@pytest.mark.parametrize("path", ["/v1/audio/transcriptions", "/v1/audio/translations"])
def test_a_model_that_hears(speech_server: Server, path: str) -> None:
    files = {"file": ("speech.wav", tones.encode(tones.speech([[0]])))}
    known = {"response_format": "verbose_json", "timestamp_granularities[]": "segment"}
    assert_counts(speech_server, path, 0, data=known, files=files)
    assert_counts(speech_server, path, 1, data={**known, "langauge": "en"}, files=files)
