"""POST /invocations, SageMaker's one route for all that a model can do: what the body asks for."""

from collections.abc import Container
from functools import reduce
from operator import or_
from typing import Any

from engine.vllm import completions, embeddings, scoring_contracts
from engine.vllm.contract import WORKS, Contract

CHAT, TEXT = "POST /v1/chat/completions", "POST /v1/completions"
EMBEDDINGS = "POST /v1/embeddings"
RANKING, RERANK, SCORE = "POST /v1/ranking", "POST /v1/rerank", "POST /v1/score"

# Field of a body → the route that it is a request to; the first one counts. vLLM goes by what a
# body can be validated as, so that a mistake in a chat is told as one in whatever comes last.
_ROUTES = {
    "messages": CHAT,
    "prompt": TEXT,
    "input": EMBEDDINGS,
    "text_1": SCORE,
    "data_1": SCORE,
    "queries": SCORE,
    "passages": RANKING,
    "documents": RERANK,
}

_CONTRACTS = completions.CONTRACTS | embeddings.CONTRACTS | scoring_contracts.CONTRACTS
_KINDS = [_CONTRACTS[route] for route in dict.fromkeys(_ROUTES.values())]


def _any(types: list[Any]) -> Any:
    return reduce(or_, [type_ for type_ in types if type_ is not None])


CONTRACTS = {
    "POST /invocations": Contract(
        request=_any([kind.request for kind in _KINDS]),
        response=_any([kind.response for kind in _KINDS]),
        event=_any([kind.event for kind in _KINDS]),
        last_data=_CONTRACTS[CHAT].last_data,
        errors=WORKS,
        foreign=_CONTRACTS[CHAT].foreign,
        example=_CONTRACTS[CHAT].example,
    )
}


def route_of(fields: Container[str]) -> str:
    """The route that a body with these fields is a request to; without any of them, a chat."""
    return next((route for field, route in _ROUTES.items() if field in fields), CHAT)
