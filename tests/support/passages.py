"""A query, passages for it, and the request that NIM's clients make of them."""

from typing import Any

QUERY = "What does a cat eat?"
TEXTS = [
    "A cat eats meat, and now and then a little grass.",
    "Interest rates on bonds rose again.",
    "Dogs bark at night.",
    "",
    "The quick brown fox jumps over the lazy dog, and nobody knows why it would.",
]
LONG = "word " * 200


def ranking(query: str, texts: list[str], **fields: Any) -> dict[str, Any]:
    passages = [{"text": text} for text in texts]
    return {"model": "tiny-reranker", "query": {"text": query}, "passages": passages, **fields}


def many(path: str) -> dict[str, Any]:
    """A request to a route that compares texts, and takes seconds."""
    texts = ["word " * 100] * 512
    requests = {
        "/v1/ranking": ranking(QUERY, texts),
        "/v1/rerank": {"query": QUERY, "documents": texts},
        "/v1/score": {"text_1": QUERY, "text_2": texts},
    }
    return requests[path]
