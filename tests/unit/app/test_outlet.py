"""What is written to a connection leaves when it should."""

from contextlib import suppress
from typing import Any

from app.outlet import Outlet


class Transport:
    def __init__(self) -> None:
        self.events: list[bytes | str] = []

    def write(self, data: bytes) -> None:
        self.events.append(data)

    def close(self) -> None:
        self.events.append("closed")

    def is_closing(self) -> bool:
        return "closed" in self.events


def outlet() -> tuple[Outlet, list[bytes | str]]:
    transport: Any = Transport()
    return Outlet(transport), transport.events


def test_what_belongs_together_leaves_in_one_piece_and_all_else_at_once() -> None:
    it, events = outlet()
    it.write(b"continue")
    with it.in_one_piece():
        it.write(b"head")
        it.write(b"body")
        assert events == [b"continue"]
    it.write(b"next")
    assert events == [b"continue", b"headbody", b"next"]


def test_nothing_is_lost_when_another_begins_before_the_end() -> None:
    it, events = outlet()
    with it.in_one_piece():
        it.write(b"first")
        with it.in_one_piece():
            it.write(b"second")
    assert events == [b"first", b"second"]


def test_a_connection_that_is_closed_has_sent_what_was_written_before() -> None:
    it, events = outlet()
    with it.in_one_piece():
        it.write(b"head")
        it.close()
        it.write(b"late")
    assert events == [b"head", "closed", b"late"]
    assert it.is_closing()


def test_what_was_written_before_a_failure_is_sent() -> None:
    it, events = outlet()
    with suppress(AttributeError), it.in_one_piece():
        it.write(b"head")
        it.fail()
    it.write(b"more")
    assert events == [b"head", b"more"]
