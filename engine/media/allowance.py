"""What one request may still bring: bytes, pixels, time. All of its media share it."""

import asyncio
import threading

from engine.errors import InvalidRequestError
from engine.media.rules import MediaRules

# Connections of one request at a time: nobody makes this server knock at a door a thousand times.
_AT_ONCE = 8
_MIB = 1 << 20
_MEGAPIXEL = 1_000_000


class Allowance:
    """Belongs to a request; bytes are spent on the event loop, pixels in threads that decode."""

    def __init__(self, rules: MediaRules) -> None:
        """The time begins now, so it is made on the event loop when the request comes."""
        self._rules = rules
        self._lock = threading.Lock()
        self._bytes = 0
        self._pixels = 0
        self.deadline_s = asyncio.get_running_loop().time() + rules.timeout_s
        """The event loop's time at which everything must have arrived."""
        self.audio_s = rules.audio_s
        """How long each audio may last."""
        self.turn = asyncio.Semaphore(_AT_ONCE)
        """Held by whoever fetches."""

    def spend_bytes(self, count: int) -> None:
        """Take bytes that have been received; raises `InvalidRequestError`."""
        with self._lock:
            self._bytes += count
            if self._bytes > self._rules.request_bytes:
                mib = self._rules.request_bytes / _MIB
                raise InvalidRequestError(f"All media of a request together may have {mib:g} MiB.")

    def spend_image(self, width: int, height: int) -> None:
        """Take an image that is about to be decoded; raises `InvalidRequestError`."""
        pixels = width * height
        if pixels > self._rules.image_pixels:
            largest = self._rules.image_pixels / _MEGAPIXEL
            raise InvalidRequestError(
                f"This image has {width}x{height} pixels; it may have {largest:g} million."
            )
        with self._lock:
            self._pixels += pixels
            if self._pixels > self._rules.request_pixels:
                most = self._rules.request_pixels / _MEGAPIXEL
                raise InvalidRequestError(
                    f"All images of a request together may have {most:g} million pixels."
                )

    def require_item(self, count: int) -> None:
        """Refuse a file that is too large; raises `InvalidRequestError`."""
        if count > self._rules.item_bytes:
            mib = self._rules.item_bytes / _MIB
            raise InvalidRequestError(f"It may have {mib:g} MiB.")
