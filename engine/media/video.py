"""Which files may be given to a decoder of videos."""

from engine.errors import InvalidRequestError

# MP4 and QuickTime, WebM and Matroska, AVI, MPEG: where in the file, and what.
_KNOWN = (
    (4, b"ftyp"), (4, b"moov"), (4, b"wide"), (0, b"\x1a\x45\xdf\xa3"), (8, b"AVI "),
    (0, b"\x00\x00\x01\xba"), (0, b"\x00\x00\x01\xb3"),
)  # fmt: skip


def require_video(data: bytes) -> None:
    """Refuse what is no container of video; raises `InvalidRequestError`.

    FFmpeg also plays lists (HLS, DASH, ffconcat), and opens the URLs and files in them by itself.
    """
    if not any(data.startswith(mark, at) for at, mark in _KNOWN):
        raise InvalidRequestError("Videos may be MP4, QuickTime, WebM, Matroska, AVI or MPEG.")
