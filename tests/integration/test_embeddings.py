"""Vectors of a real embedding model."""

import base64
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.connection import posted
from tests.support.errors import assert_error
from tests.support.load import is_idle, prompt_tokens
from tests.support.server import Server
from tests.support.wait import wait_until

DIMENSIONS = 384


def vectors(server: Server, texts: str | list[str], **fields: Any) -> NDArray[np.float32]:
    """One row for each text."""
    response = server.post("/v1/embeddings", {"model": "minilm", "input": texts, **fields})
    assert response.status_code == 200, response.text
    body = response.json()
    assert [entry["index"] for entry in body["data"]] == list(range(len(body["data"])))
    return np.array([entry["embedding"] for entry in body["data"]], dtype=np.float32)


def test_what_means_the_same_is_near(embedding_server: Server) -> None:
    cat, kitten, bond = vectors(
        embedding_server,
        [
            "A cat sleeps on the sofa.",
            "A kitten naps on the couch.",
            "Interest rates on bonds rose again.",
        ],
    )
    assert cat.shape == (DIMENSIONS,)
    assert np.linalg.norm(cat) == pytest.approx(1.0, abs=1e-3)
    assert float(cat @ kitten) > 0.5
    assert float(cat @ bond) < 0.2


def test_a_text_has_one_vector_however_it_is_asked_for(embedding_server: Server) -> None:
    text = "unigate serves an open model"
    plain = vectors(embedding_server, text)
    tokens = embedding_server.post("/tokenize", {"prompt": text}).json()["tokens"]
    same = embedding_server.post("/v1/embeddings", {"input": [tokens, tokens]}).json()["data"]
    body = {"input": text, "encoding_format": "base64"}
    packed = embedding_server.post("/v1/embeddings", body).json()["data"][0]["embedding"]
    for other in (
        vectors(embedding_server, [text]),
        np.array([same[0]["embedding"]], dtype=np.float32),
        np.frombuffer(base64.b64decode(packed), dtype="<f4")[None],
        vectors(embedding_server, text, model="minilm-query"),
        vectors(embedding_server, text, input_type="passage"),
    ):
        assert np.allclose(plain, other, atol=1e-5)


def test_binary_vectors_are_the_signs(embedding_server: Server) -> None:
    text = "one bit for each number"
    signs = np.packbits(vectors(embedding_server, text)[0] >= 0)
    unsigned = vectors(embedding_server, text, embedding_type="ubinary")[0]
    signed = vectors(embedding_server, text, embedding_type="binary")[0]
    assert unsigned.tolist() == signs.tolist()
    assert signed.tolist() == (signs.astype(int) - 128).tolist()


def test_usage_counts_tokens(embedding_server: Server) -> None:
    body = {"input": ["one two three", "four"]}
    usage = embedding_server.post("/v1/embeddings", body).json()["usage"]
    counts = [
        embedding_server.post("/tokenize", {"prompt": text}).json()["count"]
        for text in body["input"]
    ]
    assert usage == {"prompt_tokens": sum(counts), "total_tokens": sum(counts)}


def test_a_text_that_is_too_long_is_refused_or_cut_as_asked(embedding_server: Server) -> None:
    text = "start " + "word " * 5000 + "end"
    refused = embedding_server.post("/v1/embeddings", {"input": text})
    assert_error(refused, 400, "context_length_exceeded")
    start, end = (vectors(embedding_server, text, truncate=side)[0] for side in ("END", "START"))
    assert not np.allclose(start, end, atol=1e-4)


def test_a_client_that_leaves_is_not_embedded_for(embedding_server: Server) -> None:
    before = prompt_tokens(embedding_server)
    with posted(embedding_server, "/v1/embeddings", json={"input": ["word " * 100] * 2048}):
        wait_until(
            lambda: prompt_tokens(embedding_server) > before, within_s=60, what="some are embedded"
        )
    wait_until(lambda: is_idle(embedding_server), within_s=5, what="the engine is idle again")
    after = prompt_tokens(embedding_server)
    assert len(vectors(embedding_server, "a cat")) == 1
    assert prompt_tokens(embedding_server) - after < 100, "nothing of it is embedded any more"
    assert after - before < 2048 * 100 / 2


@pytest.mark.parametrize(
    ("body", "status", "code", "param"),
    [
        ({}, 400, "invalid_request", "input"),
        ({"input": []}, 400, "invalid_request", "input"),
        ({"input": ["x"] * 2049}, 400, "invalid_request", "input"),
        ({"input": {"text": "x"}}, 400, "invalid_request", None),
        ({"input": "x", "model": "other"}, 404, "model_not_found", None),
        ({"input": "x", "model": "other-query"}, 404, "model_not_found", None),
        ({"input": "x", "encoding_format": "bytes"}, 400, "invalid_request", "encoding_format"),
        ({"input": "x", "embedding_type": "int8"}, 400, "invalid_request", "embedding_type"),
        ({"input": "x", "truncate": "MIDDLE"}, 400, "invalid_request", "truncate"),
        ({"input": "x", "input_type": "poem"}, 400, "invalid_request", "input_type"),
        ({"input": "x", "dimensions": 7}, 400, "invalid_request", None),
        ({"input": [10**9]}, 400, "invalid_request", None),
    ],
    ids=str,
)
def test_what_cannot_be_embedded(
    embedding_server: Server, body: dict[str, Any], status: int, code: str, param: str | None
) -> None:
    error = assert_error(embedding_server.post("/v1/embeddings", body), status, code)
    if param is not None:
        assert error["param"] == param


def test_a_route_of_another_kind_of_model_says_so(server: Server, embedding_server: Server) -> None:
    body = {"messages": [{"role": "user", "content": "x"}]}
    chat = embedding_server.post("/v1/chat/completions", body)
    assert "generates text" in assert_error(chat, 404, "task_not_supported")["message"]
    embed = server.post("/v1/embeddings", {"input": "x"})
    assert "embedding model" in assert_error(embed, 404, "task_not_supported")["message"]
