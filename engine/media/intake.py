"""What a model takes of images, audio and video: judged before anything is rendered or fetched."""

from collections.abc import Iterator, Mapping
from typing import Any

from engine.errors import InvalidRequestError
from engine.media.admission import Admission, admitted
from engine.media.allowance import Allowance
from engine.media.attachment import Attachment, Kind, attachments_of
from engine.media.data_url import is_data_url, size_of, split_data_url
from engine.media.fetcher import Fetcher
from engine.media.rules import MediaRules

# Where requests have messages or items with parts: chats, and /v1/responses.
_FIELDS = ("messages", "input")
_PLURALS: dict[Kind, str] = {"image": "images", "audio": "audio", "video": "videos"}


class Intake:
    """Admits the media of requests; one for each loaded model."""

    def __init__(
        self,
        rules: MediaRules,
        fetcher: Fetcher,
        limits: Mapping[Kind, int],
        *,
        takes_tensors: bool,
        trusts: bool,
    ) -> None:
        """`limits` is how many of each kind one request may have.

        Tensors are media that somebody has encoded already. Clients that are trusted may name what
        they send, for the cache.
        """
        self._rules = rules
        self._fetcher = fetcher
        self._limits = limits
        self._takes_tensors = takes_tensors
        self._trusts = trusts

    def admit(self, request: Mapping[str, Any]) -> None:
        """Judge what a request brings; raises `InvalidRequestError`.

        Belongs into the task that answers the request: what is admitted is noted in its context.
        """
        allowance = Allowance(self._rules)
        counts: dict[Kind, int] = {}
        found: list[Attachment] = []
        for attachment in self._attachments(request):
            counts[attachment.kind] = counts.get(attachment.kind, 0) + 1
            try:
                self._judge(attachment, counts[attachment.kind], allowance)
            except InvalidRequestError as error:
                raise InvalidRequestError(str(error), attachment.field) from None
            found.append(attachment)
        field = next((field for field in _FIELDS if field in request), None)
        admitted.set(Admission(tuple(found), field, self._fetcher, allowance))

    def _attachments(self, request: Mapping[str, Any]) -> Iterator[Attachment]:
        for field in _FIELDS:
            yield from attachments_of(request.get(field), field)

    def _judge(self, attachment: Attachment, count: int, allowance: Allowance) -> None:
        kind = attachment.kind
        if attachment.content is None and self._takes_tensors:
            return  # vLLM's to judge
        if kind not in self._limits:
            raise InvalidRequestError(f"This model takes no {_PLURALS[kind]}.")
        limit = self._limits[kind]
        if count > limit:
            raise InvalidRequestError(
                f"A request may have at most {limit} {kind}(s), and this is number {count}."
            )
        if attachment.content is None:
            raise InvalidRequestError("Tensors are taken only with --enable-mm-embeds.")
        if attachment.uuid is not None and not self._trusts:
            # Whoever knows the name is given what somebody else has sent by it.
            raise InvalidRequestError("uuid is taken only with --trust-request-mm-kwargs.")
        if attachment.is_base64:
            allowance.require_item(size_of(attachment.content))
        elif is_data_url(attachment.content):
            allowance.require_item(size_of(split_data_url(attachment.content)[1]))
        else:
            self._fetcher.check(attachment.content)
