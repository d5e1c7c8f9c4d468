"""What is asked for in each case, as data: the same for every contestant, but for a number."""

from dataclasses import dataclass
from typing import Any, Literal

_CHAT = "/v1/chat/completions"
_STORY = [{"role": "user", "content": "Tell me a long story."}]
_WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the current weather in a city",
        # Without it vLLM leaves the arguments free, and unigate does not: not the same work.
        "strict": True,
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "maxLength": 40}},
            "required": ["city"],
            "additionalProperties": False,
        },
    },
}
_PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 40}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """`users` at once, each of whom asks `requests` times, one after the other."""

    users: int
    requests: int
    body: dict[str, Any]
    path: str = _CHAT
    needs: Literal["generate", "embed"] = "generate"
    """What the model has to be able to do."""

    @property
    def is_streamed(self) -> bool:
        """Whether tokens come one by one."""
        return bool(self.body.get("stream"))


def _stream(tokens: int, **fields: Any) -> dict[str, Any]:
    body = {
        "messages": _STORY,
        "max_tokens": tokens,
        "ignore_eos": True,
        "temperature": 0,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    return body | fields


START = "start"
"""The case without traffic: how long a start takes, and what is in memory after it."""

CASES: dict[str, Case] = {
    START: Case(users=0, requests=0, body={}),
    "chat-1": Case(users=1, requests=8, body=_stream(128)),
    "chat-8": Case(users=8, requests=4, body=_stream(128)),
    "chat-64": Case(users=64, requests=2, body=_stream(128)),
    "chat-256": Case(users=256, requests=1, body=_stream(128)),
    "one-token": Case(
        users=32, requests=16, body={"messages": _STORY, "max_tokens": 1, "ignore_eos": True}
    ),
    # Eight thousand tokens of the built-in model's. vLLM keeps their cache from the warm-up, so
    # that what is measured is what a long prompt costs outside the model.
    "long-prompt": Case(
        users=4,
        requests=4,
        body=_stream(8, messages=[{"role": "user", "content": "the " * 8000}]),
    ),
    "tools": Case(
        users=16,
        requests=4,
        body=_stream(
            64,
            messages=[{"role": "user", "content": "What is the weather in Paris?"}],
            ignore_eos=False,
            tools=[_WEATHER],
            tool_choice="required",
        ),
    ),
    "json-schema": Case(
        users=16,
        requests=4,
        body=_stream(
            64,
            ignore_eos=False,
            response_format={
                "type": "json_schema",
                "json_schema": {"name": "person", "schema": _PERSON, "strict": True},
            },
        ),
    ),
    "n-4": Case(users=16, requests=2, body=_stream(64, n=4, temperature=1, seed=7)),
    "logprobs": Case(users=16, requests=2, body=_stream(64, logprobs=True, top_logprobs=5)),
    "responses": Case(
        users=64,
        requests=2,
        path="/v1/responses",
        body={
            "input": "Tell me a long story.",
            "max_output_tokens": 128,
            "ignore_eos": True,
            "temperature": 0,
            "stream": True,
            "store": False,
        },
    ),
    "embeddings": Case(
        users=16,
        requests=16,
        path="/v1/embeddings",
        body={"input": ["The cat sat on the mat.", "Bonds fell for the third day."]},
        needs="embed",
    ),
}
