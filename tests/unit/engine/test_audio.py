"""Files of every kind are decoded, and nothing beyond the limits."""

import io
import tracemalloc
import wave
from pathlib import Path

import numpy as np
import pytest

from engine.audio import decode
from engine.errors import InvalidRequestError
from tests.support import tones

SAID = tones.speech([[0, 1, 2]])
SECONDS = len(SAID) / tones.RATE


def wav(frames: bytes, *, rate: int = tones.RATE, channels: int = 1) -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(frames)
    return buffer.getvalue()


def refusal(data: bytes, longest_s: float = 600) -> str:
    with pytest.raises(InvalidRequestError) as caught:
        decode(data, rate=tones.RATE, longest_s=longest_s)
    assert caught.value.param == "file"
    return str(caught.value)


@pytest.mark.parametrize("kind", tones.CONTAINERS)
def test_what_was_encoded_is_heard(kind: str) -> None:
    heard = decode(tones.encode(SAID, kind), rate=tones.RATE, longest_s=600)
    assert heard.dtype == np.float32
    assert len(heard) / tones.RATE == pytest.approx(SECONDS, abs=0.15)
    for word, pitch in enumerate(tones.PITCHES_HZ[:3]):
        start = round(word * (tones.TONE_S + tones.GAP_S) * tones.RATE)
        part = heard[start + 1600 : start + 1600 + 3200]
        assert np.argmax(np.abs(np.fft.rfft(part))) * 5 == pytest.approx(pitch, abs=10)


def test_channels_are_mixed_and_rates_converted() -> None:
    left = (np.sin(2 * np.pi * 440 * np.arange(44_100) / 44_100) * 20_000).astype("<i2")
    stereo = np.stack([left, np.zeros_like(left)], axis=1)
    heard = decode(wav(stereo.tobytes(), rate=44_100, channels=2), rate=16_000, longest_s=600)
    assert len(heard) == pytest.approx(16_000, abs=20)
    assert np.abs(heard).max() == pytest.approx(20_000 / 32_768 / 2, rel=0.45)


@pytest.mark.parametrize(
    "data",
    [
        b"x",
        b"RIFF" + bytes(100),
        b"ID3" + bytes(1000),
        b"\x89PNG\r\n\x1a\n" + bytes(200),
        b'{"not": "audio"}' * 50,
        b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nhttp://127.0.0.1/a.ts\n#EXT-X-ENDLIST\n",
        b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\nm=audio 49170 RTP/AVP 0\r\n",
    ],
    ids=["byte", "riff", "id3", "png", "json", "playlist", "sdp"],
)
def test_what_is_no_audio_is_refused(data: bytes) -> None:
    assert "not audio that can be read" in refusal(data)


def test_a_list_of_files_on_the_server_is_not_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret.wav").write_bytes(tones.encode(SAID))
    monkeypatch.chdir(tmp_path)
    assert "not audio that can be read" in refusal(b"ffconcat version 1.0\nfile secret.wav\n")


def test_a_file_without_samples_is_refused() -> None:
    assert "no audio" in refusal(wav(b""))


@pytest.mark.parametrize("kind", tones.CONTAINERS)
def test_what_was_cut_short_is_heard_up_to_there_if_it_can_be(kind: str) -> None:
    data = tones.encode(tones.speech([[0, 1, 2, 3, 4]] * 4), kind)
    if kind in {"m4a", "mp4", "flac"}:  # an index at the end, a checksum in each frame
        assert "must be a whole" in refusal(data[: len(data) // 2])
    else:
        heard = decode(data[: len(data) // 2], rate=tones.RATE, longest_s=600)
        assert 2 < len(heard) / tones.RATE < 8


@pytest.mark.parametrize("kind", ["wav", "flac", "mp3", "ogg", "m4a", "webm"])
def test_what_is_too_long_is_refused(kind: str) -> None:
    data = tones.encode(tones.silence(30), kind)
    assert "up to 20 s" in refusal(data, longest_s=20)
    assert len(decode(data, rate=tones.RATE, longest_s=31)) >= 29 * tones.RATE


def test_a_file_that_lies_about_its_length_is_not_decoded_beyond_the_limit() -> None:
    # FLAC's header has the number of samples in the last 36 bits of its bytes 18 to 25.
    data = bytearray(tones.encode(tones.silence(3000), "flac"))
    data[21] &= 0xF0
    data[22:26] = (tones.RATE).to_bytes(4, "big")
    assert len(data) < 1 << 20
    tracemalloc.start()
    try:
        assert "up to 20 s" in refusal(bytes(data), longest_s=20)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 << 20


def test_a_file_at_an_absurd_rate_is_not_blown_up() -> None:
    # One frame of it would become gigabytes.
    assert "up to 600 s" in refusal(wav(bytes(2 * 200_000), rate=1))


def test_a_file_that_takes_long_to_decode_is_refused_though_it_is_short() -> None:
    two_seconds = wav(bytes(2 * 8 * 192_000 * 2), rate=192_000, channels=8)
    assert "too many channels" in refusal(two_seconds, longest_s=4)
    assert len(decode(two_seconds, rate=tones.RATE, longest_s=16)) > 0
