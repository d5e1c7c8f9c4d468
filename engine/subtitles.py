"""Writes a transcript's segments as subtitles: SubRip and WebVTT."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cue:
    """A text, and the seconds from and to which it is said."""

    start_s: float
    end_s: float
    text: str


def srt(cues: Iterable[Cue]) -> str:
    """SubRip: numbered, with a comma before the milliseconds."""
    return "".join(
        f"{number}\n{_time(cue.start_s, ',')} --> {_time(cue.end_s, ',')}\n{_line(cue.text)}\n\n"
        for number, cue in enumerate(cues, start=1)
    )


def vtt(cues: Iterable[Cue]) -> str:
    """WebVTT: with a heading, and a point before the milliseconds."""
    return "WEBVTT\n\n" + "".join(
        f"{_time(cue.start_s, '.')} --> {_time(cue.end_s, '.')}\n{_escaped(_line(cue.text))}\n\n"
        for cue in cues
    )


def _time(seconds: float, point: str) -> str:
    rest, milliseconds = divmod(round(seconds * 1000), 1000)
    minutes, seconds = divmod(rest, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}{point}{milliseconds:03}"


def _line(text: str) -> str:
    # An empty line would end the cue, and an arrow would be read as its times.
    return " ".join(text.split()).replace("-->", "->")


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
