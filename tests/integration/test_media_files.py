"""What vLLM's connector makes of files, without a model: no list of files is followed."""

import asyncio
import base64
import io
import ssl
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from vllm.multimodal.media import MEDIA_CONNECTOR_REGISTRY

from engine.errors import InvalidRequestError
from engine.media.fetcher import Fetcher
from engine.media.intake import Intake
from engine.media.rules import MediaRules
from engine.vllm.environment import MEDIA_CONNECTOR
from engine.vllm.media import Connector
from tests.support.media_origin import MediaOrigin, media_origin

RULES = MediaRules(audio_s=2.0, item_bytes=1 << 20)


def sound(seconds: float, rate: int = 16_000) -> bytes:
    written = io.BytesIO()
    with wave.open(written, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(bytes(int(2 * rate * seconds)))
    return written.getvalue()


def load(kind: str, data: bytes) -> Any:
    """As for a request to a model that takes one of each kind."""

    async def loaded() -> Any:
        intake = Intake(
            RULES,
            Fetcher(RULES, tls=ssl.create_default_context()),
            {"image": 1, "audio": 1, "video": 1},
            takes_tensors=False,
            trusts=False,
        )
        url = f"data:{kind}/x;base64,{base64.b64encode(data).decode()}"
        part = {"type": f"{kind}_url", f"{kind}_url": {"url": url}}
        intake.admit({"messages": [{"role": "user", "content": [part]}]})
        connector = MEDIA_CONNECTOR_REGISTRY.load(MEDIA_CONNECTOR)
        assert isinstance(connector, Connector)
        return await getattr(connector, f"fetch_{kind}_async")(url)

    return asyncio.run(loaded())


def refusal(kind: str, data: bytes) -> InvalidRequestError:
    with pytest.raises(InvalidRequestError) as caught:
        load(kind, data)
    assert caught.value.param == f"messages.0.content.0.{kind}_url.url"
    return caught.value


def test_audio_is_samples_at_a_rate() -> None:
    samples, rate = load("audio", sound(1.5))
    assert len(samples) == pytest.approx(1.5 * rate, rel=0.01)


def test_audio_that_is_too_long_or_none_is_refused() -> None:
    assert "2 s" in str(refusal("audio", sound(3)))
    refusal("audio", b"RIFF")
    refusal("audio", bytes(1000))


@pytest.fixture
def lists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[MediaOrigin, dict[str, bytes]]]:
    """Files that name other files: one of this machine, and one of a host."""
    (tmp_path / "inside.wav").write_bytes(sound(1))
    monkeypatch.chdir(tmp_path)
    with media_origin() as origin:
        inside = f"http://127.0.0.1:{origin.port}/red.png"
        yield (
            origin,
            {
                "ffconcat": f"ffconcat version 1.0\nfile '{tmp_path}/inside.wav'\n".encode(),
                "ffconcat, relative": b"ffconcat version 1.0\nfile 'inside.wav'\n",
                "ffconcat of a host": f"ffconcat version 1.0\nfile '{inside}'\n".encode(),
                "HLS": f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{inside}\n".encode(),
                "DASH": f"<?xml?><MPD><BaseURL>{inside}</BaseURL></MPD>".encode(),
            },
        )


@pytest.mark.parametrize("kind", ["audio", "video", "image"])
@pytest.mark.parametrize(
    "form", ["ffconcat", "ffconcat, relative", "ffconcat of a host", "HLS", "DASH"]
)
def test_a_list_of_files_is_not_followed(
    lists: tuple[MediaOrigin, dict[str, bytes]], kind: str, form: str
) -> None:
    origin, files = lists
    refusal(kind, files[form])
    assert not origin.asked


@pytest.mark.parametrize("data", [b"", b"\x00\x00\x00\x18ftypisom" + bytes(100), bytes(1000)])
def test_a_broken_video_is_refused(data: bytes) -> None:
    refusal("video", data or b"x")
