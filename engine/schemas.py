"""What routes take and give, in JSON Schema: how the engine describes itself to the application."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.errors import EngineError

REFERENCE = "#/components/schemas/{model}"
"""Where a schema's `$ref` looks for a definition: OpenAPI's place for them."""

JsonSchema = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteSchemas:
    """One route; what it does not have is None."""

    request: JsonSchema | None
    example: JsonSchema
    """A request that works."""

    request_media_type: str
    response: JsonSchema | None
    texts: tuple[str, ...]
    """Media types of texts that the answer may be."""

    event: JsonSchema | None
    """The data of one event, where the answer may be a stream."""

    last_data: str | None
    """Data that is no JSON and ends a stream."""

    errors: tuple[type[EngineError], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Schemas:
    """All routes that the engine answers, each by its method and path, and what they refer to."""

    routes: Mapping[str, RouteSchemas]
    definitions: Mapping[str, JsonSchema]
