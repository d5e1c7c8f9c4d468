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
