"""What one route takes and gives, said once, beside the method that serves it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import JsonSchemaMode

from engine.errors import (
    ContextLengthError,
    DeadlineExceededError,
    EngineError,
    GenerationFailedError,
    InvalidRequestError,
    ModelNotFoundError,
    OverloadedError,
    TaskNotSupportedError,
)
from engine.limits import Limits
from engine.schemas import REFERENCE, JsonSchema, RouteSchemas, Schemas

LOOKS: tuple[type[EngineError], ...] = (
    InvalidRequestError,
    ModelNotFoundError,
    OverloadedError,
    DeadlineExceededError,
)
"""Errors of a route with a request that every model can answer."""

WORKS: tuple[type[EngineError], ...] = (
    *LOOKS,
    ContextLengthError,
    TaskNotSupportedError,
    GenerationFailedError,
)
"""Errors of a route that makes the engine work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """The types of a route, any that Pydantic knows: models, unions of them, typed dictionaries."""

    errors: tuple[type[EngineError], ...]
    """What the route raises, besides what the engine's state does."""

    response: Any = None
    """The whole answer; None where it is no JSON."""

    texts: tuple[str, ...] = ()
    """Media types of texts that the whole answer may be."""

    request: Any = None
    """What the body is validated with; None where there is no body."""

    foreign: frozenset[str] = frozenset()
    """Fields of other servers that are not in `request`, and mean something all the same."""

    example: JsonSchema = field(default_factory=dict)
    """A request that works, without the model's name."""

    request_media_type: str = "application/json"
    """`multipart/form-data` where the body is a form."""

    event: Any = None
    """The data of each event of a streamed answer."""

    last_data: str | None = None
    """What comes behind the last event, if it is no JSON."""

    leaves_out: bool = False
    """Whether the whole answer goes without fields that have a default."""

    def parts(self) -> Mapping[str, tuple[JsonSchemaMode, Any]]:
        """Its types, each with the direction it is used in."""
        parts: dict[str, tuple[JsonSchemaMode, Any]] = {}
        if self.response is not None:
            # A field with a default may be left out where it is validated; written, it is there.
            mode: JsonSchemaMode = "validation" if self.leaves_out else "serialization"
            parts["response"] = (mode, self.response)
        if self.request is not None:
            parts["request"] = ("validation", self.request)
        if self.event is not None:
            # Events have only the fields that are set.
            parts["event"] = ("validation", self.event)
        return parts


def schemas_of(contracts: Mapping[str, Contract], limits: Limits, model: str) -> Schemas:
    """The contracts in JSON Schema, which takes some seconds: a thread is the place for it.

    Examples name `model`.
    """
    inputs = [
        ((route, part), mode, TypeAdapter(type_))
        for route, contract in contracts.items()
        for part, (mode, type_) in contract.parts().items()
    ]
    found, whole = TypeAdapter.json_schemas(inputs, ref_template=REFERENCE)
    schemas: dict[tuple[str, str], JsonSchema] = {key: schema for (key, _), schema in found.items()}
    definitions: dict[str, JsonSchema] = whole["$defs"]
    examples = {route: dict(contract.example) for route, contract in contracts.items()}
    for (route, part), schema in schemas.items():
        if part == "request":
            for kind in schema.get("anyOf", [schema]):
                fields = definitions[kind["$ref"].rpartition("/")[2]]["properties"]
                limits.bound(fields)
                if "model" in fields:
                    examples[route]["model"] = model
    routes = {
        route: RouteSchemas(
            request=schemas.get((route, "request")),
            example=examples[route],
            request_media_type=contract.request_media_type,
            response=schemas.get((route, "response")),
            texts=contract.texts,
            event=schemas.get((route, "event")),
            last_data=contract.last_data,
            errors=contract.errors,
        )
        for route, contract in contracts.items()
    }
    return Schemas(routes=routes, definitions=definitions)
