"""A guardrail in front of unigate: prompts and answers that match a pattern do not pass.

An example to copy and change: `Guardrail._judge_prompt` and `_judge_answer` are the two places
where a service would be asked instead. It knows nothing of the server but HTTP and ASGI.
"""

import json
import re
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from http import HTTPStatus
from typing import Any

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_SENTENCE_ENDS = (".", "!", "?", "\n")
# Where the dialects have what the model says, in events and in whole answers.
_SAID = {"content", "reasoning", "reasoning_content", "text", "delta", "thinking",
         "arguments", "partial_json"}  # fmt: skip


class _BlockedError(Exception):
    """Ends an answer; raised out of `send`, it ends the generation too."""


class Guardrail:
    """`prompts` and `answers` are regular expressions."""

    def __init__(self, app: Any, *, prompts: list[str], answers: list[str]) -> None:
        self._app = app
        self._prompts = [re.compile(pattern) for pattern in prompts]
        self._answers = [re.compile(pattern) for pattern in answers]

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Judge the request, and its answer on the way back."""
        if scope["method"] == "POST":
            body = await _read(receive)
            if body is None:
                return  # the client has left
            if not await self._judge_prompt(body):
                await _refuse(scope, send, "This prompt is not allowed here.")
                return
            receive = _again(body, receive)
        answer = _Answer(scope, send, self._judge_answer)
        # Also a GET: a response of /v1/responses may have been made in the background.
        with suppress(_BlockedError):  # it has been said
            await self._app(scope, receive, answer.send)

    async def _judge_prompt(self, body: bytes) -> bool:
        """Whether it may pass: every text of the request, whatever the route."""
        try:
            data = json.loads(body)
        except ValueError:
            return True  # the server knows how to refuse it
        return not _matches(self._prompts, "\n".join(_texts(data, None)))

    async def _judge_answer(self, text: str) -> bool:
        return not _matches(self._answers, text)


class _Answer:
    """One answer, kept back until what is in it has been judged."""

    def __init__(self, scope: Any, send: Send, judge: Callable[[str], Awaitable[bool]]) -> None:
        self._scope, self._send, self._judge = scope, send, judge
        self._start: Message = {}
        self._held = b""
        self._said = ""
        self._streams = False

    async def send(self, message: Message) -> None:
        """As ASGI's; passes on what has been judged."""
        if message["type"] == "http.response.start":
            self._start = message
            headers = dict(message["headers"])
            self._streams = headers.get(b"content-type", b"").startswith(b"text/event-stream")
            if self._streams:
                await self._send(message)
            return
        self._held += message.get("body", b"")
        is_last = not message.get("more_body", False)
        if self._streams:
            await self._stream(is_last)
        elif is_last:
            if self._start["status"] == HTTPStatus.OK and not await self._judge(
                _all_of(self._held)
            ):
                await _refuse(self._scope, self._send, "This answer is not allowed here.")
                raise _BlockedError
            await self._send(self._start)
            await self._send({"type": "http.response.body", "body": self._held})

    async def _stream(self, is_last: bool) -> None:
        """Let events go when the sentence that they are part of is complete."""
        end = len(self._held) if is_last else self._held.rfind(b"\n\n") + 2
        events = self._held[:end]
        said = "".join(_said_in(events))
        if not is_last and said and not said.rstrip(" ").endswith(_SENTENCE_ENDS):
            return
        self._said += said
        if not await self._judge(self._said):
            await self._send(_body(_event(self._scope, "This answer is not allowed here.")))
            await self._send({"type": "http.response.body", "body": b""})
            raise _BlockedError
        self._held = self._held[end:]
        if events or is_last:
            await self._send({**_body(events), "more_body": not is_last})


def _said_in(events: bytes) -> Iterator[str]:
    for line in events.splitlines():
        if line.startswith(b"data: {"):
            yield from _texts(json.loads(line[6:]), _SAID)


def _all_of(body: bytes) -> str:
    try:
        return "\n".join(_texts(json.loads(body), _SAID))
    except ValueError:
        return body.decode(errors="replace")


def _texts(data: Any, names: set[str] | None, name: str = "") -> Iterator[str]:
    """All strings in JSON; with `names`, those of fields that have one of them."""
    match data:
        case str():
            if names is None or name in names:
                yield data
        case dict():
            for key, value in data.items():
                yield from _texts(value, names, key)
        case list():
            for value in data:
                yield from _texts(value, names, name)


def _matches(patterns: list[re.Pattern[str]], text: str) -> bool:
    return any(pattern.search(text) for pattern in patterns)


async def _read(receive: Receive) -> bytes | None:
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


def _again(body: bytes, receive: Receive) -> Receive:
    given = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return given.pop() if given else await receive()

    return again


def _body(body: bytes) -> Message:
    return {"type": "http.response.body", "body": body, "more_body": True}


def _error(scope: Any, message: str) -> dict[str, Any]:
    error = {"type": "invalid_request_error", "message": message, "code": "content_filter"}
    if scope["path"].startswith("/v1/messages"):  # Anthropic's clients read another shape
        return {"type": "error", "error": error, "request_id": scope["state"]["request_id"]}
    return {"error": {**error, "param": None}}


def _event(scope: Any, message: str) -> bytes:
    error = _error(scope, message)
    name = b"event: error\n" if "type" in error else b""
    return name + b"data: " + json.dumps(error).encode() + b"\n\n"


async def _refuse(scope: Any, send: Send, message: str) -> None:
    body = json.dumps(_error(scope, message)).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 400, "headers": headers})
    await send({"type": "http.response.body", "body": body})
