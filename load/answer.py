"""A streamed answer as its reader sees it: when its tokens came, how many, and how it ended."""

import json
from typing import Any

from load.sse import Event, EventReader


class StreamedAnswer:
    """Told of each piece when it comes; knows the streams of OpenAI's two dialects and
    of Anthropic's.

    Times are seconds on one clock of the caller's.
    """

    def __init__(self, asked_s: float) -> None:
        self._asked_s = asked_s
        self._reader = EventReader()
        self._last_s: dict[int, float] = {}
        self.first_s: float | None = None
        """From the question to the first token, None before it."""
        self.gaps_s: list[float] = []
        """Between two tokens of the same choice."""
        self.tokens = 0
        """The server's own count, which it sends last."""
        self.error = ""
        self.has_ended = False
        """Whether the stream's own end was seen: `[DONE]`, `message_stop`, or a whole response."""

    def take(self, piece: bytes, now_s: float) -> None:
        """Read what came at this time."""
        for event in self._reader.feed(piece):
            self._read(event, now_s)

    @property
    def failure(self) -> str:
        """Why this is no answer; empty when it is one."""
        if self.error:
            return f"an error in the stream: {self.error}"
        return "" if self.has_ended else "the stream was cut before its end"

    def _read(self, event: Event, now_s: float) -> None:
        if event.data == b"[DONE]":
            self.has_ended = True
            return
        try:
            body = json.loads(event.data)
        except ValueError:
            self.error = f"no JSON: {event.data[:100]!r}"
            return
        if event.name == "error" or body.get("error"):
            self.error = json.dumps(body.get("error") or body)
        elif event.name == "message_stop":
            self.has_ended = True
        elif event.name.startswith("response."):
            self._read_response(body, now_s)
        elif event.name:
            self._read_anthropic(body, now_s)
        else:
            self._read_openai(body, now_s)

    def _read_openai(self, body: dict[str, Any], now_s: float) -> None:
        for choice in body.get("choices", ()):
            delta = choice.get("delta", choice)
            if any(value for name, value in delta.items() if name in _OPENAI_TEXT):
                self._note(choice["index"], now_s)
        self.tokens = (body.get("usage") or {}).get("completion_tokens", self.tokens)

    def _read_response(self, body: dict[str, Any], now_s: float) -> None:
        # All items of a response are one choice.
        if body.get("delta"):
            self._note(0, now_s)
        if body["type"] in _RESPONSE_ENDS:
            self.has_ended = True
            self.tokens = body["response"]["usage"]["output_tokens"]

    def _read_anthropic(self, body: dict[str, Any], now_s: float) -> None:
        # All blocks of a message are one choice.
        if any(map(body.get("delta", {}).get, _ANTHROPIC_TEXT)):
            self._note(0, now_s)
        self.tokens = (body.get("usage") or {}).get("output_tokens", self.tokens)

    def _note(self, choice: int, now_s: float) -> None:
        if self.first_s is None:
            self.first_s = now_s - self._asked_s
        if choice in self._last_s:
            self.gaps_s.append(now_s - self._last_s[choice])
        self._last_s[choice] = now_s


_OPENAI_TEXT = {"content", "reasoning", "reasoning_content", "tool_calls", "text"}
_RESPONSE_ENDS = {"response.completed", "response.incomplete"}
_ANTHROPIC_TEXT = ("text", "thinking", "partial_json")
