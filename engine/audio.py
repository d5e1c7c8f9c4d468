"""Decodes what clients upload, as much as a model may hear and no more."""

import io
from collections.abc import Iterator

import av
import numpy as np
from numpy.typing import NDArray

from engine.errors import InvalidRequestError

# What OpenAI's documentation lists, by FFmpeg's names. Without it FFmpeg would also take a text
# that lists files (ffconcat), and open those of the server.
_OPTIONS = {
    "format_whitelist": "wav,flac,mp3,ogg,mov,matroska,aac,mpeg",
    "protocol_whitelist": "none",
}
# Eight channels at 48 kHz: what is denser takes long to decode, whatever it lasts.
_DENSEST_HZ = 8 * 48_000
_FIELD = "file"


def decode(data: bytes, *, rate: int, longest_s: float) -> NDArray[np.float32]:
    """All samples of the first audio track, mixed to one channel at `rate`; blocks.

    Memory and time are bounded by `longest_s`, not by what the file says about itself.

    Raises:
        InvalidRequestError: it is not audio, or damaged, or too long.
    """
    try:
        with av.open(
            io.BytesIO(data), "r", options=_OPTIONS, metadata_errors="replace"
        ) as container:
            if not container.streams.audio:
                raise InvalidRequestError("file has no audio track.", _FIELD)
            parts = list(_mixed(container, rate, longest_s))
    except (av.FFmpegError, ValueError) as error:
        raise InvalidRequestError(
            "file is not audio that can be read: it must be a whole FLAC, MP3, MP4, MPEG, M4A, OGG,"
            " WAV or WebM file.",
            _FIELD,
        ) from error
    if not parts:
        raise InvalidRequestError("file has no audio in it.", _FIELD)
    return np.concatenate(parts)


def _mixed(
    container: "av.container.InputContainer", rate: int, longest_s: float
) -> Iterator[NDArray[np.float32]]:
    """The samples, frame by frame; of one that is too much, nothing is mixed."""
    resampler = av.AudioResampler(format="flt", layout="mono", rate=rate)
    heard_s = 0.0
    dense = 0
    for frame in container.decode(audio=0):
        heard_s += frame.samples / frame.sample_rate
        if heard_s > longest_s:
            raise InvalidRequestError(f"file may have up to {longest_s:g} s of audio.", _FIELD)
        dense += frame.samples * frame.layout.nb_channels
        if dense > longest_s * _DENSEST_HZ:
            raise InvalidRequestError(
                "file has too many channels, or too high a sample rate, for its length.", _FIELD
            )
        yield from _samples(resampler.resample(frame))
    yield from _samples(resampler.resample(None))


def _samples(frames: "list[av.AudioFrame]") -> Iterator[NDArray[np.float32]]:
    return (frame.to_ndarray()[0] for frame in frames)
