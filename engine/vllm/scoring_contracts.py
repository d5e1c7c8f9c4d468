"""What /v1/ranking, /v1/rerank and /v1/score take and give; `pairs` reads the first two by hand."""

from typing import Annotated, Literal, NotRequired

from pydantic import BaseModel, Field
from typing_extensions import TypedDict
from vllm.entrypoints.pooling.scoring.protocol import (
    RerankDocument,
    RerankUsage,
    ScoreRequest,
    ScoreResponse,
    ScoringRequestMixin,
)
from vllm.entrypoints.pooling.scoring.typing import ScoreInput

from engine.vllm.contract import WORKS, Contract
from engine.vllm.pairs import MOST_PASSAGES

_WEIGHT = "How much does it weigh?"


class TextObject(TypedDict):
    """A text, as NIM's, Jina's and Cohere's clients may wrap it."""

    text: str


class RankingRequest(BaseModel):
    """NIM's."""

    model: str | None = None
    query: TextObject
    passages: Annotated[list[TextObject], Field(min_length=1, max_length=MOST_PASSAGES)]
    truncate: Literal["NONE", "END"] | None = None


class RerankRequest(ScoringRequestMixin):
    """Jina's and Cohere's, with vLLM's fields."""

    query: ScoreInput | TextObject
    documents: Annotated[list[ScoreInput | TextObject], Field(min_length=1)]
    top_n: Annotated[int, Field(ge=1)] | None = None
    return_documents: bool | None = None
    rank_fields: Annotated[list[Literal["text"]], Field(min_length=1, max_length=1)] | None = None


class Ranking(TypedDict):
    """One passage, by its place in the request."""

    index: int
    logit: float


class RankingResponse(TypedDict):
    """The best passage first."""

    id: str
    model: str
    rankings: list[Ranking]
    usage: RerankUsage


class RerankResult(TypedDict):
    """One document, by its place in the request."""

    index: int
    relevance_score: float
    document: NotRequired[RerankDocument]


class RerankResponse(TypedDict):
    """The best document first."""

    id: str
    model: str
    results: list[RerankResult]
    usage: RerankUsage


CONTRACTS = {
    "POST /v1/ranking": Contract(
        request=RankingRequest,
        response=RankingResponse,
        errors=WORKS,
        example={"query": {"text": _WEIGHT}, "passages": [{"text": "A kilogram."}]},
    ),
    "POST /v1/rerank": Contract(
        request=RerankRequest,
        response=RerankResponse,
        errors=WORKS,
        example={"query": _WEIGHT, "documents": ["A kilogram.", "A metre."]},
    ),
    "POST /v1/score": Contract(
        request=ScoreRequest,
        response=ScoreResponse,
        errors=WORKS,
        example={"text_1": _WEIGHT, "text_2": ["A kilogram.", "A metre."]},
        leaves_out=True,
    ),
}
