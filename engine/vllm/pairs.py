"""What a request wants compared: the queries and documents of each dialect, checked.

Each text keeps the place it came from, so that a refusal can say which of many it is about.
"""

from dataclasses import dataclass
from typing import Any

from engine.errors import InvalidRequestError

# NIM's limit.
MOST_PASSAGES = 512
# The names vLLM has for the two sides.
_SCORE_FIELDS = (
    ("queries", "documents"),
    ("queries", "items"),
    ("data_1", "data_2"),
    ("text_1", "text_2"),
)


@dataclass(frozen=True, slots=True)
class Texts:
    """One side of the pairs, as vLLM's classes take it."""

    place: str
    """Where the client put them, with {} for the index."""

    items: list[Any]
    """Strings; for a model that takes images also objects whose `content` has parts."""

    def place_of(self, index: int) -> str:
        """Where the client put one of them."""
        return self.place.format(index)


@dataclass(frozen=True, slots=True)
class Pairs:
    """One query and its documents, or as many queries as documents."""

    queries: Texts
    documents: Texts

    def place_of(self, index: int, queries: int) -> str:
        """Where the client put the prompt of that index, if so many of them are queries alone."""
        if index < queries:
            return self.queries.place_of(index)
        return self.documents.place_of(index - queries)


def of_ranking(data: dict[str, Any]) -> Pairs:
    """NIM's `query` and `passages`; raises `InvalidRequestError`."""
    query = _nim_text(data.get("query"), "query")
    _check_query(query, "query.text")
    passages = _list_of(data.get("passages"), "passages")
    if len(passages) > MOST_PASSAGES:
        raise InvalidRequestError(
            f"passages takes up to {MOST_PASSAGES}, got {len(passages)}.", "passages"
        )
    texts = [_nim_text(passage, f"passages.{index}") for index, passage in enumerate(passages)]
    return Pairs(Texts("query.text", [query]), Texts("passages.{}.text", texts))


def of_rerank(data: dict[str, Any], *, takes_images: bool) -> Pairs:
    """Jina's and Cohere's `query` and `documents`; raises `InvalidRequestError`."""
    query = _item(data.get("query"), "query", takes_images)
    _check_query(query, "query")
    documents = _list_of(data.get("documents"), "documents")
    # Cohere's, for documents with fields of any name; it would change what is compared.
    if data.get("rank_fields") not in (None, ["text"]):
        raise InvalidRequestError('rank_fields can only be ["text"].', "rank_fields")
    return Pairs(Texts("query", [query]), _items(documents, "documents", takes_images))


def of_score(data: dict[str, Any], *, takes_images: bool) -> Pairs:
    """The two sides under whichever of vLLM's names; raises `InvalidRequestError`."""
    first, second = max(_SCORE_FIELDS, key=lambda names: sum(name in data for name in names))
    for name in (first, second):
        if name not in data:
            raise InvalidRequestError(
                f"{name} is required: send text_1 and text_2, or queries and documents.", name
            )
    left, right = (_one_or_many(data[name], name, takes_images) for name in (first, second))
    if len(left.items) not in (1, len(right.items)):
        raise InvalidRequestError(
            f"{first} has {len(left.items)} texts and {second} {len(right.items)}: "
            f"send as many of both, or one in {first}.",
            second,
        )
    return Pairs(left, right)


def _one_or_many(value: Any, field: str, takes_images: bool) -> Texts:
    if not isinstance(value, list):
        return Texts(field, [_item(value, field, takes_images)])
    return _items(_list_of(value, field), field, takes_images)


def _list_of(value: Any, field: str) -> list[Any]:
    if not isinstance(value, list):
        raise InvalidRequestError(f"{field} must be a list.", field)
    if not value:
        raise InvalidRequestError(f"{field} must not be empty.", field)
    return value


def _items(values: list[Any], field: str, takes_images: bool) -> Texts:
    items = [_item(value, f"{field}.{i}", takes_images) for i, value in enumerate(values)]
    return Texts(f"{field}.{{}}", items)


def _item(value: Any, place: str, takes_images: bool) -> Any:
    """A text, Jina's and Cohere's object with a text, or vLLM's with parts."""
    if isinstance(value, dict) and "content" in value:
        if not takes_images:
            raise InvalidRequestError(f"{place}: this model takes text only.", f"{place}.content")
        return {"content": value["content"]}
    if isinstance(value, dict):
        _refuse_image(value, place)
        value = value.get("text")
    if not isinstance(value, str):
        raise InvalidRequestError(f"{place} must be a text, or an object with a text.", place)
    return value


def _nim_text(value: Any, place: str) -> str:
    if not isinstance(value, dict):
        raise InvalidRequestError(f"{place} must be an object with a text.", place)
    _refuse_image(value, place)
    text = value.get("text")
    if not isinstance(text, str):
        raise InvalidRequestError(f"{place}.text must be a text.", f"{place}.text")
    return text


def _refuse_image(value: dict[str, Any], place: str) -> None:
    if value.get("image") is not None:
        raise InvalidRequestError(f"{place}: images are not taken here.", f"{place}.image")


def _check_query(query: Any, place: str) -> None:
    if isinstance(query, str) and not query.strip():
        raise InvalidRequestError(f"{place} must not be empty.", place)
