"""A request's leave to bring its media: without one, nothing is loaded for it.

vLLM loads media deep in its renderers, where nothing is known of the request. There this is found
again: what of its shares is left, and which field the media came in.
"""

from contextvars import ContextVar
from dataclasses import dataclass

from engine.media.allowance import Allowance
from engine.media.attachment import Attachment
from engine.media.fetcher import Fetcher

admitted: ContextVar["Admission"] = ContextVar("admitted")
"""The admission of the request that is being answered."""


@dataclass(frozen=True, slots=True)
class Admission:
    """What `Intake` has judged, and all that is needed to load it."""

    attachments: tuple[Attachment, ...]
    field: str | None
    """The field of the request that has messages or items."""

    fetcher: Fetcher
    allowance: Allowance

    def field_of(self, url: str) -> str | None:
        """The field that this URL was made of; for one of a kept conversation, that of all."""
        found = (item.field for item in self.attachments if item.is_in(url))
        return next(found, self.field)
