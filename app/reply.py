"""The answer to a request on its way out: what is added to it, and what is known of it.

It is the outermost `send`, so that nobody within has to wrap that to look or to add a header.
"""

from collections.abc import Callable, Iterable

from starlette.types import Message, Scope, Send

Header = tuple[bytes, bytes]
_STATE = "reply"


class Reply:
    """That of one request."""

    status = 0
    """0 as long as nothing has been answered."""

    headers: Iterable[Header] = ()
    """All of them, once it has begun."""

    is_complete = False
    """Whether all of it has been sent, with the client there until the end."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._added: list[Header] = []
        self._makers: list[Callable[[], Iterable[Header]]] = []

    def add(self, name: bytes, value: bytes) -> None:
        """Have a header go with it, whoever answers."""
        self._added.append((name, value))

    def add_by(self, make: Callable[[], Iterable[Header]]) -> None:
        """The same of headers that are made when it begins."""
        self._makers.append(make)

    async def send(self, message: Message) -> None:
        """ASGI's `send`."""
        if message["type"] == "http.response.start":
            headers = [*message.get("headers", ()), *self._added]
            for make in self._makers:
                headers += make()
            self.status, self.headers = message["status"], headers
            message["headers"] = headers
        elif not message.get("more_body", False):
            self.is_complete = True
        await self._send(message)

    def end(self) -> None:
        """Let go of the connection, whose request has this: only the garbage collector would."""
        self._send = _ended
        self._makers.clear()


async def _ended(message: Message) -> None:
    raise RuntimeError(f"{message['type']} after the request has ended")


def set_reply(scope: Scope, reply: Reply) -> None:
    """Let whoever handles this request have it."""
    scope.setdefault("state", {})[_STATE] = reply


def reply_to(scope: Scope) -> Reply:
    """The answer to this request."""
    reply: Reply = scope["state"][_STATE]
    return reply
