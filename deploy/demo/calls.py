"""Draws tool calls: tools with varied names and schemas, a wish in words, and the call it needs."""

import json
import random
from dataclasses import dataclass, field
from typing import Any

from wording import Wording

Tool = dict[str, Any]
_EXACT_KINDS = frozenset({"expression", "email", "path", "symbol", "service"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """Tools, what the user says, and the answer."""

    tools: list[Tool]
    ask: str = ""
    answer: str
    thought: str = ""
    exact: bool = False
    given: str = ""
    messages: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parameter:
    name: str
    type: str
    value: str
    choices: tuple[str, ...]
    optional: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tool:
    """One drawn tool: its schema and the wishes it serves."""

    name: str
    description: str
    parameters: list[_Parameter]
    asks: list[str]
    several: list[str]

    def schema(self) -> Tool:
        """Write the tool as an OpenAI client sends it."""
        properties: dict[str, Any] = {}
        for parameter in self.parameters:
            properties[parameter.name] = {"type": parameter.type}
            if parameter.choices:
                properties[parameter.name]["enum"] = list(parameter.choices)
        required = [parameter.name for parameter in self.parameters if not parameter.optional]
        parameters = {"type": "object", "properties": properties, "required": required}
        function = {"name": self.name, "description": self.description, "parameters": parameters}
        return {"type": "function", "function": function}


def write_call(name: str, arguments: dict[str, Any]) -> str:
    """Write a call as the hermes parser reads it."""
    body = json.dumps({"name": name, "arguments": arguments}, ensure_ascii=False)
    return f"<tool_call>\n{body}\n</tool_call>"


class ToolCalls:
    """The tools of the corpus and made-up ones."""

    def __init__(self, rng: random.Random, wording: Wording, corpus: Any) -> None:
        self._rng = rng
        self._wording = wording
        self._tools: list[dict[str, Any]] = corpus["tools"]
        self._made_up: list[str] = corpus["made_up"]
        self._results: list[str] = corpus["results"]
        self.thoughts: dict[str, list[str]] = corpus["thoughts"]

    def some_tools(self) -> list[Tool]:
        """One to three tools that nobody needs."""
        return [tool.schema() for tool in self._draw_many(self._rng.choice((1, 1, 2, 3)))]

    def call(self) -> Made:
        """Draw a wish and its call, sometimes several calls."""
        tools = self._draw_many(self._rng.choice((1, 1, 1, 2, 2, 3, 4)))
        tool = self._rng.choice(tools)
        schemas = [each.schema() for each in tools]
        if tool.several and self._wording.chance(0.3):
            return self._several(tool, schemas)
        ask, values = self._wish(tool)
        given = ""
        answer = write_call(tool.name, values)
        if len(tools) == 1 and self._wording.chance(0.12):
            # A named or required tool: the grammar forces the start, the model fills the values.
            answer, given = json.dumps(values, ensure_ascii=False), "{"
            if self._wording.chance(0.4):
                answer = json.dumps([{"name": tool.name, "parameters": values}], ensure_ascii=False)
                given = '[{"'
        shown = " and ".join(str(value) for value in values.values())
        thought = self.thoughts["call"][0].format(name=tool.name, values=shown)
        kinds = {parameter.value for parameter in tool.parameters}
        exact = bool(kinds & _EXACT_KINDS) or self._wording.chance(0.3)
        return Made(
            tools=schemas, ask=ask, answer=answer, thought=thought, exact=exact, given=given
        )

    def _several(self, tool: _Tool, schemas: list[Tool]) -> Made:
        parameter = tool.parameters[0]
        count = self._rng.choice((2, 2, 2, 3))
        values = [str(self._value(parameter)) for _ in range(count)]
        listed = (
            ", ".join(values[:-1]) + self._rng.choice((" and ", " and ", " and in ")) + values[-1]
        )
        ask = self._wording.expand(self._rng.choice(tool.several)).replace("{all}", listed)
        answer = "\n".join(write_call(tool.name, {parameter.name: value}) for value in values)
        shown = " and ".join(values)
        thought = self.thoughts["call"][0].format(name=tool.name, values=shown)
        return Made(tools=schemas, ask=ask, answer=answer, thought=thought, exact=True)

    def result(self) -> Made:
        """Draw a call that has been answered, and the sentence that tells the result."""
        tools = self._draw_many(self._rng.choice((1, 1, 2)))
        tool = self._rng.choice(tools)
        ask, values = self._wish(tool)
        call_id = f"call_{self._rng.randrange(10**6)}"
        function = {"name": tool.name, "arguments": json.dumps(values, ensure_ascii=False)}
        content, shown = self._outcome()
        text = self._rng.choice(self._results).format(name=tool.name, result=shown)
        called = {"id": call_id, "type": "function", "function": function}
        messages: list[dict[str, Any]] = [
            {"role": "user", "content": ask},
            {"role": "assistant", "content": "", "tool_calls": [called]},
            {"role": "tool", "tool_call_id": call_id, "content": content},
        ]
        return Made(tools=[each.schema() for each in tools], answer=text, messages=messages)

    def _outcome(self) -> tuple[str, str]:
        """Draw what a tool answers and how the model tells it: JSON as keys and values."""
        rng = self._rng
        if self._wording.chance(0.4):
            plain = self._plain_outcome()
            return plain, plain
        keys = rng.sample(["city", "unit", *self._wording_keys()], rng.choice((1, 2, 2, 3)))
        pairs: dict[str, Any] = {key: self._outcome_value() for key in keys}
        shown = ", ".join(f"{key} {value}" for key, value in pairs.items())
        return json.dumps(pairs, ensure_ascii=False), shown

    def _wording_keys(self) -> list[str]:
        return sorted({self._wording.pick("keys") for _ in range(5)})

    def _plain_outcome(self) -> str:
        sky = self._wording.pick("skies")
        number = self._wording.value("integer")
        word = self._wording.value("words")
        return self._rng.choice((number, word, f"{number} degrees, {sky}", sky, f"{word} {number}"))

    def _outcome_value(self) -> str | int:
        if self._wording.chance(0.4):
            return int(self._wording.value("integer"))
        kind = self._rng.choice(("words", "place", "skies"))
        return self._wording.pick(kind) if kind == "skies" else self._wording.value(kind)

    def _draw_many(self, count: int) -> list[_Tool]:
        drawn: dict[str, _Tool] = {}
        entries = self._rng.sample(self._tools, count)
        for entry in entries:
            tool = self._make_up() if self._wording.chance(0.15) else self._draw(entry)
            drawn[tool.name] = tool
        return list(drawn.values())

    def _draw(self, entry: dict[str, Any]) -> _Tool:
        parameters = [
            _Parameter(
                name=self._parameter_name(each["names"]),
                type=each["type"],
                value=each["value"],
                choices=tuple(each.get("enum", ())),
                optional=each.get("optional", False),
            )
            for each in entry["parameters"]
        ]
        keep = len(parameters)
        if parameters[-1].optional and self._wording.chance(0.5):
            keep -= 1
        asks = [ask for ask in entry["asks"] if "{" + str(keep) + "}" not in ask]
        several = entry.get("several", [])
        return _Tool(
            name=self._tool_name(entry["names"]),
            description=self._rng.choice((*entry["describe"], "")),
            parameters=parameters[:keep],
            asks=asks,
            several=several,
        )

    def _parameter_name(self, names: list[str]) -> str:
        """Mostly a usual name; sometimes a made-up one, so that only the schema tells it."""
        return self._wording.made_up() if self._wording.chance(0.1) else self._usual(names)

    def _tool_name(self, names: list[str]) -> str:
        """Mostly a usual name; sometimes with an addition that has to be copied."""
        name = self._usual(names)
        if self._wording.chance(0.85):
            return name
        added = self._wording.made_up(1)
        return self._rng.choice((f"{name}_{added}", f"{added}_{name}", f"{name}_v{len(added)}"))

    def _usual(self, names: list[str]) -> str:
        """Half of the time the first name, which is what most clients call it."""
        return names[0] if self._wording.chance(0.5) else self._rng.choice(names)

    def _make_up(self) -> _Tool:
        wording = self._wording
        rng = self._rng
        known = self._wording.chance(0.6)
        verb = wording.pick("verbs") if known else wording.made_up()
        thing = wording.pick("objects") if known else wording.made_up()
        kind = rng.choice(
            ("words", "place", "person", "integer", "service", "path", "email", "symbol")
        )
        field_name = wording.pick("fields") if self._wording.chance(0.7) else wording.made_up()
        parameter = _Parameter(
            name=field_name,
            type="integer" if kind == "integer" else "string",
            value=kind,
            choices=(),
            optional=False,
        )
        describe = rng.choice((f"{verb.capitalize()} a {thing}", f"{verb} {thing}", ""))
        asks = [
            ask.replace("{verb}", verb).replace("{object}", thing).replace("{value}", "{0}")
            for ask in self._made_up
        ]
        return _Tool(
            name=f"{verb}_{thing}",
            description=describe,
            parameters=[parameter],
            asks=asks,
            several=[],
        )

    def _value(self, parameter: _Parameter) -> str | int:
        if parameter.choices:
            return self._rng.choice(parameter.choices)
        value = self._wording.value(parameter.value)
        if parameter.type in ("integer", "number"):
            return int(value)
        if parameter.value in ("place", "person") and self._wording.chance(0.2):
            return value.lower()
        return value

    def _wish(self, tool: _Tool) -> tuple[str, dict[str, Any]]:
        ask = self._wording.expand(self._rng.choice(tool.asks))
        values: dict[str, Any] = {}
        for number, parameter in enumerate(tool.parameters):
            if "{" + str(number) + "}" in ask:
                values[parameter.name] = self._value(parameter)
                ask = ask.replace("{" + str(number) + "}", str(values[parameter.name]))
        return ask, values
