"""Fields that a request has and its route has never heard of: ignored, but counted.

Clients send more than they need, so a refusal would keep them out; but a misspelt field is one of
these, too, and its answer is not what the client asked for.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any, get_args

from pydantic import AliasChoices, BaseModel

from engine.vllm.contract import Contract

log = logging.getLogger(__name__)

# Clients choose the names: of how many, and how much of each, the log has.
_MOST_NAMES = 10
_LONGEST_NAME = 40


class UnknownFields:
    """Knows the fields of each route, as `/openapi.json` has them."""

    def __init__(
        self, contracts: Mapping[str, Contract], count: Callable[[str, int], None]
    ) -> None:
        """`count` gets a route's path and how many there were; never their names."""
        self._count = count
        self._known: dict[str, frozenset[str]] = {}
        for route, contract in contracts.items():
            if contract.request is not None:
                self._known[route] = frozenset(_names(contract.request)) | contract.foreign
                count(_path(route), 0)

    def note(self, route: str, request: Mapping[str, Any]) -> None:
        """Count those of a request; `route` as the contracts have it."""
        unknown = request.keys() - self._known[route]
        if unknown:
            self._count(_path(route), len(unknown))
            names = [name[:_LONGEST_NAME] for name in sorted(unknown)[:_MOST_NAMES]]
            log.debug("request.unknown_fields", extra={"route": route, "fields": names})


def _path(route: str) -> str:
    return route.partition(" ")[2]


def _names(request: Any) -> Iterator[str]:
    """What clients may call the fields of a model, or of each model of a union."""
    models: tuple[type[BaseModel], ...] = get_args(request) or (request,)
    for model in models:
        for name, field in model.model_fields.items():
            yield name
            alias = field.validation_alias
            choices = alias.choices if isinstance(alias, AliasChoices) else (alias,)
            yield from (choice for choice in choices if isinstance(choice, str))
