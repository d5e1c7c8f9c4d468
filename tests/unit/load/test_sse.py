"""Events come whole, however the bytes are cut."""

import pytest

from load.sse import Event, EventReader

STREAM = (
    b": keep-alive\n\n"
    b'data: {"text": "caf\xc3\xa9"}\n\n'
    b"event: ping\r\ndata: {}\r\n\r\n"
    b"data: two\ndata:lines\n\n"
    b"data: [DONE]\n\n"
)
EVENTS = [
    Event("", b'{"text": "caf\xc3\xa9"}'),
    Event("ping", b"{}"),
    Event("", b"two\nlines"),
    Event("", b"[DONE]"),
]


@pytest.mark.parametrize("size", range(1, len(STREAM) + 1))
def test_the_size_of_the_pieces_does_not_matter(size: int) -> None:
    reader = EventReader()
    pieces = [STREAM[at : at + size] for at in range(0, len(STREAM), size)]
    assert [event for piece in pieces for event in reader.feed(piece)] == EVENTS


def test_an_event_comes_with_the_piece_that_ends_it() -> None:
    reader = EventReader()
    assert list(reader.feed(b"data: x\n")) == []
    assert list(reader.feed(b"\ndata: y")) == [Event("", b"x")]


def test_an_event_that_is_not_ended_is_none() -> None:
    assert list(EventReader().feed(b"data: [DONE]\n")) == []
