"""What the engine got for the request that is being answered, for whoever wants to know."""

from contextvars import ContextVar
from copy import copy
from typing import Any

from vllm.v1.engine import EngineCoreRequest
from vllm.v1.engine.output_processor import OutputProcessor

HandedOver = list[tuple[EngineCoreRequest, str | None]]
"""Requests, each with its prompt's text."""

handed_over: ContextVar[HandedOver] = ContextVar("handed_over")
"""Filled where it is set."""


def note_requests(processor: OutputProcessor) -> None:
    """From now on, requests that are added to it are noted; several answers to one prompt are one
    request, as it was before it was made into one for each.
    """
    add = processor.add_request

    def add_and_note(request: Any, prompt: Any, parent: Any, index: int, queue: Any) -> None:
        add(request, prompt, parent, index, queue)
        seen = handed_over.get(None)
        if seen is not None and index == 0:
            asked = copy(request)
            if parent is not None:
                asked.sampling_params = parent.sampling_params
            seen.append((asked, prompt))

    processor.add_request = add_and_note  # type: ignore[method-assign,assignment]  # as AsyncLLM alone calls it
