"""How much one request may ask for, checked on the parsed body before anything is made of it.

Fields have the same meaning in every dialect, so one table serves all routes. What is not of the
right type is the validation's to refuse.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import orjson

from engine.errors import InvalidRequestError
from engine.schemas import JsonSchema

_TOKENS = ("max_tokens", "max_completion_tokens", "max_output_tokens")

# Lists of texts, one of which each is an input of the engine.
_INPUTS = (
    "input", "prompt", "passages",
    "queries", "documents", "items", "text_1", "text_2", "data_1", "data_2",
)  # fmt: skip


# Fields that may have a schema, a grammar or a regular expression.
_WITH_SCHEMAS = frozenset({"response_format", "text", "structured_outputs", "tools"})


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The largest values there may be; `app.settings` has the defaults."""

    messages: int
    """Messages of a chat, items of a response's input."""

    inputs: int
    """Prompts or texts of one call, times the answers to each."""

    n: int
    """Answers to one prompt; vLLM copies the request for each."""

    stop: int
    """Stop strings; each is searched for after every token."""

    tools: int
    """Tools that the model may call."""

    schema_bytes: int
    """One JSON schema, grammar or regular expression; the engine compiles it."""

    schema_depth: int
    """How deep such a schema is nested, counted in brackets."""

    max_tokens: int | None
    """Tokens of an answer that a request may ask for; None leaves it to the context."""

    def check(self, request: Mapping[str, Any]) -> None:
        """Raise `InvalidRequestError`, naming the field, if the request asks for too much."""
        for field, value in request.items():
            if field in self._lists:
                most, setting = self._lists[field]
                _require(field, _length(value), most, setting)
        self._check_numbers(request)
        if not _WITH_SCHEMAS.isdisjoint(request):
            for field, schema in _schemas(request):
                self._check_schema(field, schema)

    def bound(self, fields: Mapping[str, JsonSchema]) -> None:
        """Say the same in the schemas of a request's fields, as far as JSON Schema has words."""
        for field, (most, _) in self._lists.items():
            for kind in _kinds(fields.get(field)):
                # Token ids are one entry together.
                if kind.get("type") == "array" and kind["items"].get("type") != "integer":
                    kind["maxItems"] = min(most, kind.get("maxItems", most))
        numbers = {"n": self.n} | dict.fromkeys(_TOKENS, self.max_tokens)
        for field, largest in numbers.items():
            for kind in _kinds(fields.get(field)):
                if kind.get("type") == "integer" and largest is not None:
                    kind["maximum"] = largest

    @cached_property
    def _lists(self) -> Mapping[str, tuple[int, str]]:
        """The fields that may be lists, each with its limit and the setting that raises it."""
        return {
            **dict.fromkeys(_INPUTS, (self.inputs, "UNIGATE_MAX_INPUTS")),
            "messages": (self.messages, "UNIGATE_MAX_MESSAGES"),
            "stop": (self.stop, "UNIGATE_MAX_STOP"),
            "stop_sequences": (self.stop, "UNIGATE_MAX_STOP"),
            "tools": (self.tools, "UNIGATE_MAX_TOOLS"),
        }

    def _check_numbers(self, request: Mapping[str, Any]) -> None:
        n = request.get("n")
        if isinstance(n, int):
            _require("n", n, self.n, "UNIGATE_MAX_N", counted=False)
            prompts = max(1, _length(request.get("prompt")))
            _require("prompt", prompts * n, self.inputs, "UNIGATE_MAX_INPUTS")
        if self.max_tokens is None:
            return
        for field in _TOKENS:
            asked = request.get(field)
            if isinstance(asked, int):
                _require(field, asked, self.max_tokens, "UNIGATE_MAX_TOKENS", counted=False)

    def _check_schema(self, field: str, schema: object) -> None:
        if _is_deeper(schema, self.schema_depth):
            raise InvalidRequestError(
                f"{field} is nested deeper than {self.schema_depth} brackets; "
                "UNIGATE_MAX_SCHEMA_DEPTH of the server allows more.",
                field,
            )
        size = len(schema.encode()) if isinstance(schema, str) else len(orjson.dumps(schema))
        if size > self.schema_bytes:
            raise InvalidRequestError(
                f"{field} is {size} bytes, and may be {self.schema_bytes}; "
                "UNIGATE_MAX_SCHEMA_KIB of the server allows more.",
                field,
            )


def _kinds(schema: JsonSchema | None) -> list[JsonSchema]:
    """The types that a field may be of, each with its schema."""
    if schema is None:
        return []
    kinds: list[JsonSchema] = schema.get("anyOf", [schema])
    return kinds


def _require(field: str, asked: int, most: int, setting: str, *, counted: bool = True) -> None:
    if asked > most:
        said = f"has {asked} entries, and may have" if counted else f"is {asked}, and may be"
        message = f"{field} {said} {most}; {setting} of the server allows more."
        raise InvalidRequestError(message, field)


def _length(value: object) -> int:
    """How many entries: a string is one, and so is a list of token ids."""
    if not isinstance(value, list):
        return 1
    return 1 if value and isinstance(value[0], int) else len(value)


def _schemas(request: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    """All that the engine would compile, by the name of its field."""
    response_format = _object(request.get("response_format"))
    yield "response_format", _object(response_format.get("json_schema")).get("schema")
    yield "text.format", _object(_object(request.get("text")).get("format")).get("schema")
    for field, schema in _object(request.get("structured_outputs")).items():
        name = f"structured_outputs.{field}"
        yield name, schema
        if field == "json" and isinstance(schema, str):
            yield name, _parsed(name, schema)
    tools = request.get("tools")
    for index, tool in enumerate(tools if isinstance(tools, list) else []):
        named = _object(tool)
        yield f"tools[{index}]", _object(named.get("function")).get("parameters")
        yield f"tools[{index}]", named.get("parameters") or named.get("input_schema")


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _parsed(field: str, text: str) -> object:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InvalidRequestError(f"{field} is not valid JSON: {error}", field) from None


def _is_deeper(value: object, depth: int) -> bool:
    level = [value]
    for _ in range(depth + 1):
        children = [item for item in level if isinstance(item, dict | list)]
        if not children:
            return False
        level = [
            inner
            for child in children
            for inner in (child.values() if isinstance(child, dict) else child)
        ]
    return True
