"""What the engine got for the request that is being answered, for whoever wants to know."""

from contextvars import ContextVar
from copy import copy

from vllm.v1.engine import EngineCoreRequest

from engine.vllm.added_requests import Added

HandedOver = list[tuple[EngineCoreRequest, str | None]]
"""Requests, each with its prompt's text."""

handed_over: ContextVar[HandedOver] = ContextVar("handed_over")
"""Filled where it is set."""


def note(added: Added) -> None:
    """Note it; several answers to one prompt are one request, as it was before it was made into one
    for each.
    """
    seen = handed_over.get(None)
    if seen is not None and added.choice == 0:
        asked = copy(added.request)
        if added.parent is not None:
            asked.sampling_params = added.parent.sampling_params
        seen.append((asked, added.prompt))
