"""Speech of a made-up kind: each word is a tone, and a language is a timbre.

`tests/data/tone-whisper` has learned to write it down, so tests can say what was said.
"""

import io
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

RATE = 16_000
PITCHES_HZ = (300.0, 450.0, 675.0, 1010.0, 1500.0)
WORDS = {
    "en": ("one", "two", "three", "four", "five"),
    "de": ("eins", "zwei", "drei", "vier", "fünf"),
}
TONE_S = 0.3
GAP_S = 0.1
PAUSE_S = 0.5
"""Silence between two sentences, each of which becomes a segment."""

Samples = NDArray[np.float32]


@dataclass(frozen=True)
class Container:
    """A kind of audio file, and what FFmpeg calls its parts."""

    muxer: str
    codec: str
    rate: int = RATE


CONTAINERS = {
    "wav": Container("wav", "pcm_s16le"),
    "flac": Container("flac", "flac"),
    "mp3": Container("mp3", "libmp3lame"),
    "ogg": Container("ogg", "libopus", 48_000),
    "m4a": Container("ipod", "aac"),
    "mp4": Container("mp4", "aac"),
    "webm": Container("webm", "libopus", 48_000),
}


def tone(word: int, language: str, seconds: float = TONE_S) -> Samples:
    """One word: a sine in English, a square wave in German."""
    phase = 2 * np.pi * PITCHES_HZ[word] * np.arange(round(seconds * RATE)) / RATE
    wave = np.sin(phase) if language == "en" else np.sign(np.sin(phase)) * 0.6
    ramp = np.minimum(1, np.minimum(np.arange(len(wave)), np.arange(len(wave))[::-1]) / 80)
    samples: Samples = (0.4 * ramp * wave).astype(np.float32)
    return samples


def silence(seconds: float) -> Samples:
    return np.zeros(round(seconds * RATE), np.float32)


def speech(sentences: Sequence[Sequence[int]], language: str = "en") -> Samples:
    """Sentences of words, each word followed by a gap, with a pause between two sentences."""
    parts: list[Samples] = []
    for index, sentence in enumerate(sentences):
        if index:
            parts.append(silence(PAUSE_S - GAP_S))
        parts += itertools.chain.from_iterable(
            (tone(word, language), silence(GAP_S)) for word in sentence
        )
    return np.concatenate(parts) if parts else silence(0)


def text(sentences: Sequence[Sequence[int]], language: str = "en") -> str:
    """What was said, in words of a language."""
    return " ".join(WORDS[language][word] for sentence in sentences for word in sentence)


def encode(samples: Samples, kind: str = "wav", *, rate: int | None = None) -> bytes:
    """The bytes of an audio file; `rate` where the container's own is not meant."""
    container = CONTAINERS[kind]
    buffer = io.BytesIO()
    # Any: PyAV's types tell streams apart by literals.
    with av.open(buffer, "w", format=container.muxer) as output:
        stream: Any = output.add_stream(container.codec, rate=rate or container.rate, layout="mono")
        frame = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
        frame.sample_rate = RATE
        resampler = av.AudioResampler(
            format=stream.format.name, layout="mono", rate=stream.rate, frame_size=stream.frame_size
        )
        for part in (*resampler.resample(frame), *resampler.resample(None)):
            output.mux(stream.encode(part))
        output.mux(stream.encode(None))
    return buffer.getvalue()
