"""One client's connection: uvicorn's protocol, with an end to its patience.

A client that sends or reads slowly costs a connection and no more, and only for so long. Nothing
here is timed by a timer of its own: `look` is called for every connection once a second.
"""

import asyncio
import uuid
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

import httptools
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from app.at_once import run_at_once
from app.health import PROBES
from app.outlet import Outlet
from app.wire import Wire, lend_wire

if TYPE_CHECKING:
    from engine import EngineError

# nginx's `large_client_header_buffers` allow 32 KiB; tokens of some identity providers are long.
_HEAD_BYTES = 64 << 10
# A body may take a second more for each so many bytes: a slow line is no attack.
_BODY_RATE = 64 << 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long clients may take, in seconds, and how many there may be."""

    head_s: float
    body_s: float
    read_s: float
    """Without taking anything of what was sent."""

    idle_s: int
    """Between two requests."""

    comment_s: float
    """Silence of a stream after which a comment is sent; 0: never."""

    connections: int


class _HeadTooLarge(Exception):  # noqa: N818  # not an error of ours: it ends the parser
    pass


class _Phase(Enum):
    HEAD = auto()
    BODY = auto()
    ANSWER = auto()
    IDLE = auto()


class Idlers:
    """Connections that nothing is done for at the moment, the longest idle first."""

    def __init__(self) -> None:
        self._connections: dict[Connection, None] = {}

    def add(self, connection: "Connection") -> None:
        """From now on nothing is done for it."""
        self._connections[connection] = None

    def discard(self, connection: "Connection") -> None:
        """Something is, or it has ended."""
        self._connections.pop(connection, None)

    def end_one(self) -> bool:
        """Make room for another; whether there was one."""
        first = next(iter(self._connections), None)
        if first is not None:
            self.discard(first)
            first.transport.abort()
        return first is not None


class Connection(HttpToolsProtocol):
    """As uvicorn's, for one that is given so much time."""

    _wire: Wire
    _client_name: str | None = None
    _phase = _Phase.HEAD

    def __init__(self, *, patience: Patience, idlers: Idlers, **options: Any) -> None:
        super().__init__(**options)
        self._patience = patience
        self._idlers = idlers
        self._since_s = self.loop.time()
        self._head_bytes = self._body_bytes = 0
        self._unsent = self._frames = 0
        self._unsent_since_s = self._frames_since_s = self._since_s

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        """Welcome a client, if there is room for one more."""
        outlet = Outlet(transport)
        super().connection_made(outlet)  # type: ignore[arg-type]  # stands in for it
        self._wire = Wire(transport, self.flow, outlet)
        encryption = transport.get_extra_info("ssl_object")
        if encryption is not None:
            from app.tls import client_name  # noqa: PLC0415  # takes a while where nobody needs it

            self._client_name = client_name(encryption)
        if len(self.connections) > self._patience.connections and not self._idlers.end_one():
            from app.errors import TooManyConnectionsError  # noqa: PLC0415  # as in _refuse

            self._refuse(TooManyConnectionsError("This server has as many clients as it may."))
            return
        self._idlers.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever answers it that the client has left."""
        self._idlers.discard(self)
        super().connection_lost(exc)
        self._wire.lose()

    def data_received(self, data: bytes) -> None:
        """Read on; what is no HTTP, or has no end, ends the connection."""
        self._unset_keepalive_if_required()
        if self._phase is _Phase.IDLE:
            self._expect_head()
        self._head_bytes += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass  # to something that is not offered; the request is answered as it is
        except httptools.HttpParserError as error:
            if isinstance(error.__context__, _HeadTooLarge):
                self._refuse_head()
                return
            from app.errors import NotHttpError  # noqa: PLC0415  # as in _refuse

            self._refuse(NotHttpError("This is not HTTP/1.1 as RFC 9112 has it."))
        else:
            if self._phase is _Phase.HEAD and self._head_bytes > _HEAD_BYTES:
                self._refuse_head()

    def on_message_begin(self) -> None:
        """A request's first line begins."""
        super().on_message_begin()
        if self._phase is not _Phase.HEAD:  # behind another, in the same bytes
            self._expect_head()
        lend_wire(self.scope, self._wire)
        if self._client_name is not None:
            # https://asgi.readthedocs.io/en/latest/specs/tls.html
            self.scope["extensions"]["tls"] = {"client_cert_name": self._client_name}

    def on_headers_complete(self) -> None:
        """Its answering begins, unless it has to wait for the one of the request before."""
        if self._head_bytes > _HEAD_BYTES and self._head_size() > _HEAD_BYTES:
            raise _HeadTooLarge
        self._phase = _Phase.BODY
        self._since_s = self.loop.time()
        self._body_bytes = 0
        self._idlers.discard(self)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A part of its body has come."""
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """All of it has come."""
        self._phase = _Phase.ANSWER
        super().on_message_complete()
        if self.cycle.response_complete:
            self._rest()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        """Answer a probe at once: a task would wait for whatever is due before it."""
        if cycle.scope["method"] == "GET" and cycle.scope["path"] in PROBES:
            run_at_once(self.loop, cycle.run_asgi(app))
        else:
            super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        """It has been answered."""
        super().on_response_complete()
        if self._phase is _Phase.ANSWER and self.cycle.response_complete:
            self._rest()

    def look(self, now_s: float) -> None:
        """End what takes too long, and let a silent stream be heard of."""
        if self.flow.read_paused:
            self._since_s = now_s  # it could not send
        if self._is_late(now_s) and not self.transport.is_closing():
            self._give_up()
        unsent = self.transport.get_write_buffer_size()
        if unsent == 0 or unsent != self._unsent:
            self._unsent, self._unsent_since_s = unsent, now_s
        elif now_s - self._unsent_since_s > self._patience.read_s:
            self.transport.abort()
        wire, comment_s = self._wire, self._patience.comment_s
        if not wire.is_streaming or wire.written != self._frames or unsent:
            self._frames, self._frames_since_s = wire.written, now_s
        elif comment_s and now_s - self._frames_since_s >= comment_s:
            self._frames_since_s = now_s
            wire.comment()

    def _is_late(self, now_s: float) -> bool:
        late_s = now_s - self._since_s
        if self._phase is _Phase.HEAD:
            return late_s > self._patience.head_s
        if self._phase is _Phase.BODY:
            return late_s > self._patience.body_s + self._body_bytes / _BODY_RATE
        return False

    def _expect_head(self) -> None:
        self._phase = _Phase.HEAD
        self._since_s = self.loop.time()
        self._head_bytes = 0

    def _rest(self) -> None:
        self._phase = _Phase.IDLE
        self._idlers.add(self)

    def _give_up(self) -> None:
        if self._phase is _Phase.HEAD and self._head_bytes == 0:
            self.transport.close()  # it has not said a word, and expects none
            return
        from app.errors import RequestTimeoutError  # noqa: PLC0415  # as in _refuse

        what = "headers" if self._phase is _Phase.HEAD else "body"
        self._refuse(RequestTimeoutError(f"The request's {what} did not arrive in time."))

    def _head_size(self) -> int:
        lines = sum(len(name) + len(b": \r\n") + len(value) for name, value in self.headers)
        return len(self.url) + lines

    def _refuse_head(self) -> None:
        from app.errors import HeadTooLargeError  # noqa: PLC0415  # as in _refuse

        self._refuse(HeadTooLargeError(f"Headers may have {_HEAD_BYTES} bytes."))

    def _refuse(self, error: "EngineError") -> None:
        """Say why, unless an answer is on its way, and hang up."""
        # Takes a while to import, which the first health answer need not wait for.
        from app.errors import response_to, rule_for  # noqa: PLC0415
        from app.observability.metrics import observe_error  # noqa: PLC0415

        observe_error(rule_for(error).code)
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            known = self._phase is _Phase.BODY
            request_id = uuid.uuid4().hex
            path = self.scope["path"] if known else ""
            answer = response_to(error, {"path": path, "state": {"request_id": request_id}})
            headers = [*answer.raw_headers, (b"x-request-id", request_id.encode())]
            head = b"".join(b"%b: %b\r\n" % header for header in headers)
            self.transport.write(STATUS_LINE[answer.status_code] + head + b"\r\n" + answer.body)
        self.transport.close()
