"""Server-sent events out of the pieces in which they arrive, wherever a piece is cut."""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Event:
    """One event: its name, empty where it has none, and its data."""

    name: str
    data: bytes


class EventReader:
    """Takes bytes as they come, and gives each event once it is whole."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, piece: bytes) -> Iterator[Event]:
        """The events that end in this piece; comments, which keep connections alive, are none."""
        *frames, self._rest = (self._rest + piece).replace(b"\r\n", b"\n").split(b"\n\n")
        for frame in frames:
            if event := _event(frame):
                yield event


def _event(frame: bytes) -> Event | None:
    name, data = "", []
    for line in frame.split(b"\n"):
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            data.append(value)
        elif field == b"event":
            name = value.decode(errors="replace")
    return Event(name, b"\n".join(data)) if data else None
