"""vLLM's transcripts on their way out: OpenAI's JSON and events, text, subtitles.

vLLM puts a space between clips whatever is there, numbers the segments of each clip from 0, and
streams chunks like those of a chat, which OpenAI's SDK does not know.
"""

import math
import re
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing
from typing import Any

import orjson
from vllm.entrypoints.speech_to_text.transcription.protocol import TranscriptionResponseVerbose
from vllm.entrypoints.speech_to_text.translation.protocol import TranslationResponseVerbose

from engine.answer import Whole
from engine.subtitles import Cue, srt, vtt

Verbose = TranscriptionResponseVerbose | TranslationResponseVerbose

SUBTITLES: dict[str, tuple[str, Callable[[Iterator[Cue]], str]]] = {
    "srt": ("application/x-subrip; charset=utf-8", srt),
    "vtt": ("text/vtt; charset=utf-8", vtt),
}
"""Formats that are made of segments → their media type, and what writes them."""

_SPACES = re.compile(" {2,}")


def written(found: Any, response_format: str) -> Whole:
    """A whole transcript of vLLM's in the format that was asked for."""
    text = _SPACES.sub(" ", found.text).strip()
    if response_format == "text":
        return Whole(f"{text}\n".encode(), "text/plain; charset=utf-8")
    body = found.model_dump() | {"text": text}
    if isinstance(found, Verbose):
        body |= {
            "segments": _segments(found),
            "usage": {"type": "duration", "seconds": math.ceil(found.duration)},
        }
        del body["words"]  # never there
    if response_format in SUBTITLES:
        media_type, write = SUBTITLES[response_format]
        cues = (Cue(part["start"], part["end"], part["text"]) for part in body["segments"])
        return Whole(write(cues).encode(), media_type)
    return Whole(orjson.dumps(body))


def _segments(found: Verbose) -> list[dict[str, Any]]:
    """Those of all clips as one series: numbered, and each ended where the next begins.

    A model hears the silence that fills its last clip, too, and may end a segment in there.
    """
    segments = [segment.model_dump() for segment in found.segments or ()]
    latest = found.duration
    for number, segment in reversed(list(enumerate(segments))):
        start = min(segment["start"], latest)
        segment |= {"id": number, "start": start, "end": max(start, min(segment["end"], latest))}
        latest = start
    return segments


async def events(frames: AsyncGenerator[str]) -> AsyncGenerator[str]:
    """OpenAI's events for the frames of vLLM, which must have the usage in them."""
    text = ""
    usage: dict[str, int] = {}
    async with aclosing(frames):
        async for frame in frames:
            data = frame.removeprefix("data: ").strip()
            if data == "[DONE]":
                break
            chunk = orjson.loads(data)
            usage = chunk.get("usage") or usage
            for choice in chunk["choices"]:
                delta = _SPACES.sub(" ", choice["delta"].get("content") or "")
                delta = delta if text else delta.lstrip()
                if delta:
                    text += delta
                    yield _event("transcript.text.delta", delta=delta)
    yield _event(
        "transcript.text.done",
        text=text,
        usage={
            "type": "tokens",
            "input_tokens": usage["prompt_tokens"],
            "output_tokens": usage["completion_tokens"],
            "total_tokens": usage["total_tokens"],
        },
    )
    yield "data: [DONE]\n\n"


def _event(kind: str, **fields: Any) -> str:
    return f"data: {orjson.dumps({'type': kind, **fields}).decode()}\n\n"
