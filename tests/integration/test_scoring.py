"""Scores of a real cross-encoder, and of the embedding model."""

import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.connection import posted
from tests.support.cross_encoder import CONTEXT, Reference
from tests.support.errors import assert_error
from tests.support.load import is_idle, prompt_tokens
from tests.support.passages import LONG, QUERY, TEXTS, many, ranking
from tests.support.program import run
from tests.support.server import Server
from tests.support.wait import wait_until


@pytest.fixture(scope="session")
def reference(cross_encoder: Path) -> Reference:
    return Reference(cross_encoder)


def answered(server: Server, path: str, body: dict[str, Any]) -> dict[str, Any]:
    response = server.post(path, body)
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


def logits(server: Server, query: str, texts: list[str], **fields: Any) -> list[float]:
    """In the order of the texts."""
    rankings = answered(server, "/v1/ranking", ranking(query, texts, **fields))["rankings"]
    found = {entry["index"]: entry["logit"] for entry in rankings}
    return [found[index] for index in range(len(texts))]


def sigmoid(logit: float) -> float:
    return 1 / (1 + math.exp(-logit))


def test_a_ranking_has_the_models_own_logits_best_first(
    reranker: Server, reference: Reference
) -> None:
    body = answered(reranker, "/v1/ranking", ranking(QUERY, TEXTS))
    expected = reference.logits(QUERY, TEXTS)
    assert max(expected) - min(expected) > 1, "the texts are told apart"
    assert not all(0 <= logit <= 1 for logit in expected)
    order = [entry["index"] for entry in body["rankings"]]
    assert order == sorted(range(len(TEXTS)), key=lambda index: -expected[index])
    for entry in body["rankings"]:
        assert set(entry) == {"index", "logit"}
        assert entry["logit"] == pytest.approx(expected[entry["index"]], abs=1e-3)


def test_texts_that_score_the_same_stay_in_order(reranker: Server) -> None:
    rankings = answered(reranker, "/v1/ranking", ranking(QUERY, [TEXTS[1]] * 32))["rankings"]
    # One that is scored in another batch may differ in its last bits.
    tied = [
        (first["index"], second["index"])
        for first, second in pairwise(rankings)
        if first["logit"] == second["logit"]
    ]
    assert tied
    assert all(first < second for first, second in tied)


def test_as_many_passages_as_nim_takes_are_ranked(reranker: Server) -> None:
    texts = [f"passage {number}" for number in range(512)]
    assert len(logits(reranker, QUERY, texts)) == 512


def test_end_cuts_the_passage_and_nothing_else(reranker: Server, reference: Reference) -> None:
    texts = [TEXTS[0], LONG, "cat " * 100_000]
    found = logits(reranker, QUERY, texts, truncate="END")
    assert found == pytest.approx(reference.logits(QUERY, texts), abs=1e-3)


def test_a_query_may_leave_room_for_one_token(reranker: Server, reference: Reference) -> None:
    # [CLS], [SEP] and [SEP] are the other three.
    fits, too_long = "word " * (CONTEXT - 4), "word " * (CONTEXT - 3)
    (found,) = logits(reranker, fits, [LONG], truncate="END")
    assert found == pytest.approx(reference.logits(fits, [LONG])[0], abs=1e-3)
    for truncate in ("NONE", "END"):
        refused = reranker.post("/v1/ranking", ranking(too_long, ["x"], truncate=truncate))
        assert assert_error(refused, 400, "context_length_exceeded")["param"] == "query.text"


def test_rerank_and_score_apply_the_models_activation(
    reranker: Server, reference: Reference
) -> None:
    expected = [sigmoid(logit) for logit in reference.logits(QUERY, TEXTS)]
    body = answered(reranker, "/v1/score", {"text_1": QUERY, "text_2": TEXTS})
    assert [entry["score"] for entry in body["data"]] == pytest.approx(expected, abs=1e-4)
    assert [entry["index"] for entry in body["data"]] == list(range(len(TEXTS)))
    results = answered(reranker, "/v1/rerank", {"query": QUERY, "documents": TEXTS})["results"]
    for result in results:
        assert result["relevance_score"] == pytest.approx(expected[result["index"]], abs=1e-4)
        assert result["document"]["text"] == TEXTS[result["index"]]
    scores = [result["relevance_score"] for result in results]
    assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize(
    "fields",
    [("text_1", "text_2"), ("queries", "documents"), ("queries", "items"), ("data_1", "data_2")],
    ids="-".join,
)
def test_score_pairs_one_with_one_with_many_and_many_with_many(
    reranker: Server, fields: tuple[str, str]
) -> None:
    def scores(first: Any, second: Any) -> list[float]:
        body = answered(reranker, "/v1/score", {fields[0]: first, fields[1]: second})
        return [entry["score"] for entry in body["data"]]

    (one,) = scores(QUERY, TEXTS[0])
    (other,) = scores("Who barks?", TEXTS[2])
    assert scores([QUERY], TEXTS[:2])[0] == pytest.approx(one, abs=1e-5)
    assert scores([QUERY, "Who barks?"], [TEXTS[0], TEXTS[2]]) == pytest.approx(
        [one, other], abs=1e-5
    )


@pytest.mark.parametrize(
    ("fields", "count", "with_documents"),
    [
        ({}, 3, True),
        ({"top_n": None, "return_documents": None}, 3, True),
        ({"top_n": 1}, 1, True),
        ({"top_n": 99, "return_documents": True}, 3, True),
        ({"top_n": 2, "return_documents": False}, 2, False),
    ],
    ids=str,
)
def test_what_clients_of_jina_and_cohere_send(
    reranker: Server, fields: dict[str, Any], count: int, with_documents: bool
) -> None:
    documents: list[Any] = [TEXTS[0], {"text": TEXTS[1], "title": "Bonds"}, {"text": TEXTS[2]}]
    body = {"model": "tiny-reranker", "query": QUERY, "documents": documents, **fields}
    results = answered(reranker, "/v1/rerank", body)["results"]
    assert len(results) == count
    for result in results:
        assert ("document" in result) is with_documents
        if with_documents:
            assert result["document"]["text"] == TEXTS[result["index"]]


def test_what_langchains_nvidia_client_sends(reranker: Server) -> None:
    # langchain-nvidia-ai-endpoints 1.5.0: NVIDIARerank asks for the model first, then posts this.
    (model,) = reranker.get("/v1/models").json()["data"]
    assert model["root"] == model["id"]
    headers = {"Accept": "application/json", "X-BILLING-SOURCE": "langchain-nvidia-ai-endpoints"}
    body = ranking(QUERY, TEXTS, truncate="END", model=model["id"])
    response = reranker.post("/v1/ranking", body, headers=headers)
    assert response.status_code == 200
    assert len(response.json()["rankings"]) == len(TEXTS)


@pytest.mark.parametrize("path", ["/v1/ranking", "/v1/rerank", "/v1/score"])
def test_usage_counts_the_tokens_of_each_pair(reranker: Server, path: str) -> None:
    texts = TEXTS[:3]
    body = {
        "/v1/ranking": ranking(QUERY, texts),
        "/v1/rerank": {"query": QUERY, "documents": texts},
        "/v1/score": {"queries": QUERY, "documents": texts},
    }[path]

    def tokens(text: str) -> int:
        plain = {"prompt": text, "add_special_tokens": False}
        count: int = reranker.post("/tokenize", plain).json()["count"]
        return count

    pairs = sum(tokens(QUERY) + tokens(text) + 3 for text in texts)
    first, second = (answered(reranker, path, {**body, "request_id": "mine"}) for _ in range(2))
    assert first["usage"] == {"prompt_tokens": pairs, "total_tokens": pairs}
    assert first["model"] == "tiny-reranker"
    assert "mine" not in first["id"]
    assert first["id"] != second["id"]


def test_vllms_own_fields_cut_and_choose(reranker: Server, reference: Reference) -> None:
    body = {"text_1": QUERY, "text_2": LONG, "max_tokens_per_doc": 5, "use_activation": False}
    (entry,) = answered(reranker, "/v1/score", body)["data"]
    expected = reference.logits(QUERY, ["word " * 5])
    assert entry["score"] == pytest.approx(expected[0], abs=1e-3)
    body = {"query": QUERY, "documents": [LONG], "truncate_prompt_tokens": -1}
    usage = answered(reranker, "/v1/rerank", body)["usage"]
    assert usage["prompt_tokens"] == CONTEXT


@pytest.mark.parametrize("path", ["/v1/ranking", "/v1/rerank", "/v1/score"])
def test_a_client_that_leaves_is_not_scored_for(reranker: Server, path: str) -> None:
    before = prompt_tokens(reranker)
    with posted(reranker, path, json=many(path)):
        wait_until(lambda: prompt_tokens(reranker) > before, within_s=60, what="some are scored")
    wait_until(lambda: is_idle(reranker), within_s=5, what="the engine is idle again")
    after = prompt_tokens(reranker)
    assert logits(reranker, QUERY, TEXTS[:1])
    assert prompt_tokens(reranker) - after < 100, "nothing of it is scored any more"
    assert after - before < 512 * 100 / 2


def test_an_embedding_models_score_is_the_cosine(embedding_server: Server) -> None:
    embedded = answered(embedding_server, "/v1/embeddings", {"input": [QUERY, *TEXTS]})
    vectors = np.array([entry["embedding"] for entry in embedded["data"]])
    cosines = (vectors[1:] @ vectors[0]).tolist()
    body = answered(embedding_server, "/v1/score", {"text_1": QUERY, "text_2": TEXTS})
    assert [entry["score"] for entry in body["data"]] == pytest.approx(cosines, abs=1e-4)
    assert body["usage"] == embedded["usage"]
    body = {"query": QUERY, "documents": TEXTS, "top_n": 1}
    (best,) = answered(embedding_server, "/v1/rerank", body)["results"]
    assert best["index"] == int(np.argmax(cosines)) == 0


@pytest.mark.parametrize("words", [("profiles", "explain", "{}"), ("serve", "{}", "--dry-run")])
@pytest.mark.parametrize("machine", [None, "8xH100"])
def test_a_profile_is_chosen_for_a_reranker(
    cross_encoder: Path, words: tuple[str, ...], machine: str | None
) -> None:
    result = run("unigate", *(word.format(cross_encoder) for word in words), machine=machine)
    assert result.returncode == 0, result.stderr
    assert ("vllm-bf16-tp1" if machine else "vllm-cpu-fp32-tp1") in result.stdout
