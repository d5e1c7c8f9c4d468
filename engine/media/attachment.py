"""Finds the images, audio and video of a request, in the words of each dialect.

Before anything else looks at the request: what is refused is refused with the name of its field,
and nothing that the engine could take for media is left out.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from engine.errors import InvalidRequestError

Kind = Literal["image", "audio", "video"]

# The field of a part that has the media, in OpenAI's dialects.
_FIELDS: dict[str, Kind] = {
    "image_url": "image",
    "audio_url": "audio",
    "input_audio": "audio",
    "video_url": "video",
}
# Parts that vLLM takes for media, or for tensors of it. Tensors may be enabled there; a PIL image
# cannot be written in JSON, and what can be written in its place is fetched by the model's own
# processor, without any check.
_TENSORS: dict[str, Kind] = {
    "image_embeds": "image",
    "audio_embeds": "audio",
    "video_embeds": "video",
}
_NEVER = ("image_pil",)
# Parts of which nothing would reach the model.
_FILES = ("file", "input_file", "document")
# A message, its parts, the parts of a tool's result within: nobody's parts are deeper.
_DEEPEST = 3
# Most messages are no more than this, with a text for content.
_PLAIN = {"role", "content", "name"}


@dataclass(frozen=True, slots=True)
class Attachment:
    """One of them, where it stands in the request."""

    kind: Kind
    field: str
    """As errors name it: `messages.0.content.1.image_url`."""

    content: str | None
    """A URL, or base64; None for a tensor, which is vLLM's to read."""

    is_base64: bool = False

    uuid: str | None = None
    """The name that the client gives it for others to find it by in the cache."""

    def is_in(self, url: str) -> bool:
        """Whether the engine made this URL of it."""
        return self.content is not None and url.endswith(self.content)


def attachments_of(value: Any, field: str, depth: int = 0) -> Iterator[Attachment]:
    """Those in a list of messages or items; raises `InvalidRequestError` for unusable ones.

    What has not the form of messages has none: whoever validates the request will say so.
    """
    if not isinstance(value, list) or depth == _DEEPEST:
        return
    for index, item in enumerate(value):
        if not isinstance(item, dict):
            continue
        if item.keys() <= _PLAIN and isinstance(item.get("content"), str):
            continue
        here = f"{field}.{index}"
        yield from _of_part(item, here)
        for name in ("content", "output"):
            yield from attachments_of(item.get(name), f"{here}.{name}", depth + 1)


def _of_part(part: dict[str, Any], field: str) -> Iterator[Attachment]:
    kind = part.get("type")
    _require_usable(part, kind, field)
    if kind == "image" and "source" in part:
        yield _of_source(part["source"], f"{field}.source")
    for name, tensor in _TENSORS.items():
        if kind == name or part.get(name) is not None:
            yield Attachment(tensor, f"{field}.{name}", None)
    for name, media in _FIELDS.items():
        if kind == name or part.get(name) is not None:
            where, content = _content(part.get(name), name, field)
            yield Attachment(media, where, content, name == "input_audio", part.get("uuid"))


def _require_usable(part: dict[str, Any], kind: Any, field: str) -> None:
    for name in _NEVER:
        if kind == name or name in part:
            raise InvalidRequestError(f"{name} cannot be sent in JSON.", f"{field}.{name}")
    if kind in _FILES:
        raise InvalidRequestError(f"Parts of type {kind!r} are not supported.", field)
    if kind == "input_image" and part.get("image_url") is None:
        raise InvalidRequestError("An image needs an image_url here.", f"{field}.image_url")


def _of_source(source: Any, field: str) -> Attachment:
    """An image in Anthropic's dialect."""
    names = {"base64": "data", "url": "url"}
    kind = source.get("type") if isinstance(source, dict) else None
    if kind not in names:
        raise InvalidRequestError("source.type must be 'base64' or 'url'.", f"{field}.type")
    name = names[kind]
    content = _require_text(source.get(name), f"{field}.{name}")
    return Attachment("image", f"{field}.{name}", content, name == "data")


def _content(value: Any, name: str, field: str) -> tuple[str, str]:
    """Field and content of a part in OpenAI's dialects."""
    where = f"{field}.{name}"
    if isinstance(value, dict):
        inner = "data" if name == "input_audio" else "url"
        where, value = f"{where}.{inner}", value.get(inner)
    return where, _require_text(value, where)


def _require_text(value: Any, field: str) -> str:
    if not isinstance(value, str) or not value:
        raise InvalidRequestError("This must be a text that is not empty.", field)
    return value
