"""How vLLM loads images, audio and video: from where `engine.media` lets it, and within its limits.

vLLM asks a connector for whatever a chat names by URL, its own `data:` URLs among them, in all
renderers and for all dialects. This one takes the place of its own.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from io import BytesIO
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from vllm.config import ModelConfig
from vllm.multimodal.image import normalize_image
from vllm.multimodal.media import MEDIA_CONNECTOR_REGISTRY, MediaConnector, MediaIO, MediaWithBytes
from vllm.multimodal.media.audio import AudioMediaIO
from vllm.multimodal.media.connector import global_thread_pool
from vllm.multimodal.media.image import ImageMediaIO
from vllm.multimodal.media.video import VideoMediaIO
from vllm.multimodal.processing import BaseMultiModalProcessor

from engine.audio import decode
from engine.errors import InvalidRequestError
from engine.media.admission import Admission, admitted
from engine.media.allowance import Allowance
from engine.media.attachment import Kind
from engine.media.data_url import is_data_url, read_base64, split_data_url
from engine.media.fetcher import Fetcher
from engine.media.intake import Intake
from engine.media.rules import MediaRules
from engine.media.video import require_video
from engine.vllm.environment import MEDIA_CONNECTOR

log = logging.getLogger(__name__)

Media = TypeVar("Media")

_NAMES: tuple[tuple[Kind, str], ...] = (
    ("image", "image"),
    ("video", "video"),
    ("audio", "audio"),
    # Some models count images and videos together.
    ("image", "vision_chunk"),
    ("video", "vision_chunk"),
)
# What browsers and OpenAI's models take. Each further decoder of PIL's is a way in for an attacker.
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF")
# vLLM's own form of a video: frames as JPEG files in base64, with commas between them.
_FRAMES = "video/jpeg"
# More than models hear, so that each gets what it hears.
_AUDIO_HZ = 48_000
_UNREADABLE = (
    f"It cannot be decoded: it is broken, or of another kind. Images may be {', '.join(_FORMATS)}."
)


@MEDIA_CONNECTOR_REGISTRY.register(MEDIA_CONNECTOR)
class Connector(MediaConnector):
    """Loads only for a request whose media have been admitted; its errors name their field."""

    async def load_from_url_async(
        self, url: str, media_io: MediaIO[Media], *, fetch_timeout: int | None = None
    ) -> Media:
        """The media, decoded in a thread; raises `InvalidRequestError`."""
        del fetch_timeout  # the request has one for all of its media
        with _naming_the_field(url) as admission:
            allowance = admission.allowance
            if is_data_url(url):
                load = partial(_load_data_url, url, media_io, allowance)
            else:
                data = await admission.fetcher.fetch(url, allowance)
                load = partial(_load_bytes, data, media_io, allowance)
            return await asyncio.get_running_loop().run_in_executor(global_thread_pool, load)

    def load_from_url(
        self, url: str, media_io: MediaIO[Media], *, fetch_timeout: int | None = None
    ) -> Media:
        """The same where vLLM does not await it, and so cannot wait for a network."""
        del fetch_timeout
        with _naming_the_field(url) as admission:
            if is_data_url(url):
                return _load_data_url(url, media_io, admission.allowance)
            raise InvalidRequestError("Only data URLs are taken here.")


def intake_of(
    config: ModelConfig,
    processor: BaseMultiModalProcessor[Any] | None,
    rules: MediaRules,
    *,
    trusts: bool,
) -> Intake:
    """The intake of a model; `processor` is what it has for media, None if it reads text alone.

    Takes a while: the fetcher reads certificates.
    """
    allowed = processor.info.allowed_mm_limits if processor else {}
    limits: dict[Kind, int] = {}
    for kind, name in _NAMES:
        if name in allowed:
            limits[kind] = allowed[name]
    return Intake(
        rules,
        Fetcher(rules, tuple(config.allowed_media_domains or ())),
        limits,
        takes_tensors=bool(config.multimodal_config and config.multimodal_config.enable_mm_embeds),
        trusts=trusts,
    )


@contextmanager
def _naming_the_field(url: str) -> Iterator[Admission]:
    admission = admitted.get(None)
    if admission is None:
        # A route that does not ask an `Intake` loads nothing, rather than anything.
        raise InvalidRequestError("This route takes no images, audio or video.")
    try:
        yield admission
    except InvalidRequestError as error:
        raise InvalidRequestError(str(error), admission.field_of(url)) from None


def _load_data_url(url: str, media_io: MediaIO[Media], allowance: Allowance) -> Media:
    media_type, content = split_data_url(url)
    if media_type == _FRAMES:
        for frame in content.split(","):
            _decoded(partial(_open_image, _received(frame, allowance), allowance))
        return _decoded(partial(media_io.load_base64, media_type, content))
    return _load_bytes(_received(content, allowance), media_io, allowance)


def _received(content: str, allowance: Allowance) -> bytes:
    data = read_base64(content)
    allowance.require_item(len(data))
    allowance.spend_bytes(len(data))
    return data


def _load_bytes(data: bytes, media_io: MediaIO[Media], allowance: Allowance) -> Media:
    load: Callable[[], Any] = partial(media_io.load_bytes, data)
    if isinstance(media_io, ImageMediaIO):
        load = partial(_load_image, data, media_io, allowance)
    elif isinstance(media_io, AudioMediaIO):
        # vLLM's would open other files of the server that a list names.
        load = partial(_load_audio, data, allowance)
    elif isinstance(media_io, VideoMediaIO):
        require_video(data)
    return cast(Media, _decoded(load))


def _load_audio(data: bytes, allowance: Allowance) -> tuple[NDArray[np.float32], float]:
    """Samples and their rate; the model's own processor takes them to its rate."""
    return decode(data, rate=_AUDIO_HZ, longest_s=allowance.audio_s), _AUDIO_HZ


def _load_image(
    data: bytes, media_io: ImageMediaIO, allowance: Allowance
) -> MediaWithBytes[Image.Image]:
    """As vLLM's `ImageMediaIO` does, which takes a broken stream for a black image.

    It loads once to see whether the image is to be turned, hides what goes wrong, and loading again
    does not repeat it.
    """
    opened = _open_image(data, allowance)
    opened.load()
    image = normalize_image(opened)
    converted = media_io._convert_image_mode(image)  # what it was told at the start
    # By this the same file in another mode is told apart in the cache.
    mode = {"image_mode": media_io.image_mode, "background": media_io.rgba_background_color}
    return MediaWithBytes(converted, data, None if converted is image else mode)


def _open_image(data: bytes, allowance: Allowance) -> Image.Image:
    """Read the header and judge the size, before pixels are made of what follows."""
    image = Image.open(BytesIO(data), formats=_FORMATS)
    allowance.spend_image(*image.size)
    return image


def _decoded(decode: Callable[[], Media]) -> Media:
    """What `decode` makes of a client's bytes; decoders raise nearly anything for broken ones."""
    try:
        return decode()
    except InvalidRequestError:
        raise
    except Image.DecompressionBombError:  # beyond PIL's own limit
        raise InvalidRequestError("This image has too many pixels.") from None
    except Exception as error:  # noqa: BLE001  # the border to them
        # Of their messages some have addresses of memory in them (CVE-2026-22778).
        log.info("media.not_decoded", extra={"reason": type(error).__name__})
        raise InvalidRequestError(_UNREADABLE) from None
