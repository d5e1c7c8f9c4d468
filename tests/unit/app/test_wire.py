"""What a stream writes straight to its connection."""

import asyncio

from uvicorn.protocols.http.flow_control import FlowControl

from app.outlet import Outlet
from app.wire import Wire


class Transport(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.sent: list[bytes] = []
        self.has_ended = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.sent.append(bytes(data))

    def is_closing(self) -> bool:
        return self.has_ended

    def pause_reading(self) -> None: ...


def wire() -> tuple[Wire, Transport, FlowControl]:
    transport = Transport()
    flow = FlowControl(transport)
    return Wire(transport, flow, Outlet(transport)), transport, flow


def test_a_frame_in_parts_is_sent_as_one_that_is_whole() -> None:
    it, transport, _ = wire()
    assert it.write_around(b'data: {"text":', b'"f\xc3\xbcr"', b"}\n\n")
    assert it.write(b'data: {"text":"f\xc3\xbcr"}\n\n')
    in_parts, whole = transport.sent
    assert in_parts == whole == b'17\r\ndata: {"text":"f\xc3\xbcr"}\n\n\r\n'
    assert it.written == 2


def test_who_writes_is_told_when_there_is_no_room_for_more() -> None:
    it, transport, flow = wire()
    flow.pause_writing()
    assert not it.write_around(b"a", b"b", b"c")
    assert transport.sent == [b"3\r\nabc\r\n"]  # it is not lost


def test_nothing_is_written_to_a_client_that_has_left() -> None:
    it, transport, _ = wire()
    transport.has_ended = True
    it.write_around(b"a", b"b", b"c")
    it.write(b"abc")
    assert transport.sent == []
